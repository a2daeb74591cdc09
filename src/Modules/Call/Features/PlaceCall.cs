using System.Text.Json;
using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Calls.Features;

/// <summary>Accepts an outbound call: queued, paid for and announced in one transaction. The dialler takes it from there.</summary>
internal static class PlaceCall
{
    public static void Map(RouteGroupBuilder calls) => calls
        .MapPost("/", async (Body body, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new QueueCall(body.ToRequest(caller)), ct)).ToHttp(call =>
            {
                http.Response.Headers.Location = $"/v1/calls/{call.Id}";
                return Results.Json(call, Json.Options, statusCode: StatusCodes.Status202Accepted);
            }))
        .WithName(nameof(PlaceCall))
        .Produces<CallView>(StatusCodes.Status202Accepted);

    /// <param name="FromNumber">One of the trunk's; its first when left out.</param>
    /// <param name="QueueTtlS">Seconds after which a call that was not dialled yet is given up, from schedule_at on.</param>
    public sealed record Body(
        string? AssistantId, string? TrunkId, string? ToNumber, string? FromNumber = null, JsonElement? Metadata = null,
        IReadOnlyDictionary<string, string>? Variables = null, JsonElement? AssistantOverrides = null, DateTimeOffset? ScheduleAt = null, int? QueueTtlS = null,
        int? RingTimeoutS = null, int? MaxDurationS = null, bool? Record = null, VoicemailSettings? Voicemail = null, RetryRule? Retry = null, string? WebhookUrl = null,
        int Priority = 0)
    {
        internal OutboundRequest ToRequest(Caller caller) => new(
            caller.TenantId, caller.IsTest, AssistantId ?? "", TrunkId ?? "", ToNumber ?? "", FromNumber, Metadata, Variables, AssistantOverrides, ScheduleAt?.ToUniversalTime(),
            QueueTtlS, RingTimeoutS, MaxDurationS, Record, Voicemail, Retry, WebhookUrl, Priority, IsSeed003: false);
    }
}
