using System.Text.Json;
using System.Text.Json.Serialization;
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
                return Error.Field("call_service", "unknown", "'call_service' must be twilio.").ToHttp();
            }

            return (await mediator.Send(new QueueCall(body.ToRequest(caller)), ct)).ToHttp(call => SeedRoute.Success(
                "Call queued", new { call_id = call.Id, status = call.Status, assistant_id = call.AssistantId, trunk_id = call.TrunkId, to_number = call.ToNumber }));
        })
        .WithName(nameof(PlaceCall003))
        .WithTags("Seed 003")
        .RequireAuthorization(Scopes.Operate)
        .ForSeed(SeedRoute.Envelope);

    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record Body(string? AssistantId, string? TrunkId, string? ToNumber, string? CallService = null, JsonElement? Metadata = null)
    {
        internal OutboundRequest ToRequest(Caller caller) => new(
            caller.TenantId, caller.IsTest, AssistantId ?? "", TrunkId ?? "", E164.Normalize(ToNumber ?? ""), null, Metadata, null, null, null,
            null, null, null, Record: true, null, null, null, 0, IsSeed003: true);
    }
}
