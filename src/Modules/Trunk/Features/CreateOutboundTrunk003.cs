using System.Text.Json;

namespace VoicePlatform.Trunks.Features;

/// <summary>Seed 003's POST /sip/create-outbound-trunk, in its own words and envelope.</summary>
internal static class CreateOutboundTrunk003
{
    public static void Map(IEndpointRouteBuilder app) => app
        .MapPost("/sip/create-outbound-trunk", async (Body body, IMediator mediator, CancellationToken ct) =>
        {
            var made = await mediator.Send(new NewTrunk(body.ToSettings()), ct);
            return made.IsOk
                ? Results.Json(
                    new { success = true, message = "Outbound trunk created", data = new { trunk_id = made.Value.Id, trunk_name = made.Value.Name, trunk_type = made.Value.Type } },
                    Json.Options)
                : Results.Json(
                    new { success = false, message = made.Error.Message, data = (object?)null },
                    Json.Options,
                    statusCode: made.Error.Kind is ErrorKind.Invalid ? StatusCodes.Status400BadRequest : HttpResults.StatusOf(made.Error.Kind));
        })
        .WithName(nameof(CreateOutboundTrunk003))
        .WithTags("Seed 003")
        .RequireAuthorization(Scopes.Operate);

    public sealed record Body(
        string? TrunkName, string? TrunkAddress, IReadOnlyList<string>? TrunkNumbers, string? TrunkAuthUsername = null, string? TrunkAuthPassword = null, string? TrunkType = null)
    {
        /// <summary>Numbers are taken as people write them, with spaces and dashes.</summary>
        internal JsonElement ToSettings() => JsonSerializer.SerializeToElement(
            new
            {
                name = TrunkName ?? "",
                type = (TrunkType ?? "twilio").ToLowerInvariant(),
                direction = "outbound",
                address = TrunkAddress ?? "",
                numbers = (TrunkNumbers ?? []).Select(n => E164.Normalize(n ?? "")),
                auth = new { username = TrunkAuthUsername ?? "", password = TrunkAuthPassword },
            },
            Json.Options);
    }
}
