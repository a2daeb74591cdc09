using System.Text.Json;
using VoicePlatform.Calls.Data;

namespace VoicePlatform.Calls.Features;

/// <summary>Seed 003's POST /call/outbound: the same call, recorded as it was there, in the seed's words and envelope.</summary>
internal static class PlaceCall003
{
    public static void Map(IEndpointRouteBuilder app) => app
        .MapPost("/call/outbound", async (Body body, Caller caller, IMediator mediator, CancellationToken ct) =>
        {
            if (body.CallService is not (null or "twilio"))
            {
                return Refusal(StatusCodes.Status400BadRequest, "'call_service' must be twilio.");
            }

            var queued = await mediator.Send(new QueueCall(body.ToRequest(caller)), ct);
            if (!queued.IsOk)
            {
                return Refusal(queued.Error.Kind is ErrorKind.Invalid ? StatusCodes.Status400BadRequest : HttpResults.StatusOf(queued.Error.Kind), queued.Error.Message);
            }

            var call = queued.Value;
            return Results.Json(
                new { success = true, message = "Call queued", data = new { call_id = call.Id, status = call.Status, assistant_id = call.AssistantId, trunk_id = call.TrunkId, to_number = call.ToNumber } },
                Json.Options);
        })
        .WithName(nameof(PlaceCall003))
        .WithTags("Seed 003")
        .RequireAuthorization(Scopes.Operate);

    private static IResult Refusal(int status, string message) => Results.Json(new { success = false, message, data = (object?)null }, Json.Options, statusCode: status);

    public sealed record Body(string? AssistantId, string? TrunkId, string? ToNumber, string? CallService = null, JsonElement? Metadata = null)
    {
        internal OutboundRequest ToRequest(Caller caller) => new(
            caller.TenantId, caller.IsTest, AssistantId ?? "", TrunkId ?? "", E164.Normalize(ToNumber ?? ""), null, Metadata, null, null, null,
            null, null, null, Record: true, null, null, null, 0, IsSeed003: true);
    }
}
