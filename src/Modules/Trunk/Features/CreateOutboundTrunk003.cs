using System.Text.Json;
using System.Text.Json.Serialization;

namespace VoicePlatform.Trunks.Features;

/// <summary>Seed 003's POST /sip/create-outbound-trunk, in its own words and envelope.</summary>
internal static class CreateOutboundTrunk003
{
    public static void Map(IEndpointRouteBuilder app) => app
        .MapPost("/sip/create-outbound-trunk", async (Body body, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new NewTrunk(body.ToSettings()), ct)).ToHttp(made => SeedRoute.Success(
                "Outbound trunk created", new { trunk_id = made.Id, trunk_name = made.Name, trunk_type = made.Type })))
        .WithName(nameof(CreateOutboundTrunk003))
        .WithTags("Seed 003")
        .RequireAuthorization(Scopes.Operate)
        .ForSeed(SeedRoute.Envelope);

    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
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
