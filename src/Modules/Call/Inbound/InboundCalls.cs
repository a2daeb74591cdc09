using System.Text.Json;
using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Calls;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Contracts.Trunks;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Calls.Inbound;

/// <summary>A telephone rings in a room of ours: whose is it, may it come in, who attends it.</summary>
internal sealed class InboundCalls(CallDb db, IMediator mediator, ILogger<InboundCalls> log)
{
    /// <summary>As the dispatch rules of the Trunk module name the rooms of callers.</summary>
    public const string RoomPrefix = "call-";

    private const int MaxContext = 64 * 1024;
    private static readonly TimeSpan ContextPatience = TimeSpan.FromSeconds(1.5);

    public async Task RingAsync(string room, MediaParticipant phone, CancellationToken ct)
    {
        if (!phone.Attributes.TryGetValue("sip.trunkID", out var livekitTrunk) || !phone.Attributes.TryGetValue("sip.trunkPhoneNumber", out var called)
            || await db.Calls.AnyAsync(c => c.RoomName == room, ct))
        {
            return;     // Not a telephone's ring, or told before.
        }

        var number = await mediator.Send(new FindNumber(livekitTrunk, called), ct);
        if (!number.IsOk)
        {
            // On another's trunk it is another's call. On ours, a number that leads nowhere is refused.
            if (number.Error.Code == "number.not_found")
            {
                await mediator.Send(new RefuseRoom(room), ct);
            }

            return;
        }

        var from = phone.Attributes.TryGetValue("sip.phoneNumber", out var calling) ? E164.Normalize(calling) : "";
        var ring = new InboundRing(number.Value, room, phone.Identity, from, new Dictionary<string, string>(), "{}");
        ring = await WithContextAsync(ring, phone, ct);
        var accepted = await mediator.Send(new AcceptInbound(ring), ct);
        if (!accepted.IsOk)
        {
            CallLog.InboundRefused(log, number.Value.NumberId, accepted.Error.Code);
            var refused = await mediator.Send(new RefuseInbound(ring, accepted.Error), ct);
            if (!refused.IsOk)
            {
                await mediator.Send(new RefuseRoom(room), ct);
            }
        }
    }

    /// <summary>Asks the tenant who is calling. Its silence never keeps a caller waiting.</summary>
    private async Task<InboundRing> WithContextAsync(InboundRing ring, MediaParticipant phone, CancellationToken ct)
    {
        if (ring.Number.ContextUrl is not { } url)
        {
            return ring;
        }

        var question = Json.Write(new
        {
            from_number = ring.FromNumber, to_number = ring.Number.Number, number_id = ring.Number.NumberId, assistant_id = ring.Number.AssistantId,
            sip_call_id = phone.Attributes.GetValueOrDefault("sip.callID"),
        });
        var answer = await mediator.Send(new AskTenantServer(ring.Number.TenantId, url, question, ContextPatience, MaxContext), ct);
        if (!answer.IsOk)
        {
            CallLog.NoContext(log, ring.Number.NumberId, answer.Error.Message);
            return ring;
        }

        try
        {
            using var json = JsonDocument.Parse(answer.Value.Text);
            var variables = json.RootElement.TryGetProperty("variables", out var v) && v.ValueKind is JsonValueKind.Object
                ? v.EnumerateObject().Where(p => p.Value.ValueKind is JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False)
                    .GroupBy(p => p.Name).ToDictionary(g => g.Key, g => g.Last().Value.ToString())
                : [];
            var metadata = json.RootElement.TryGetProperty("metadata", out var m) && m.ValueKind is JsonValueKind.Object ? m.GetRawText() : "{}";
            return ring with { Variables = variables, MetadataJson = metadata };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            CallLog.NoContext(log, ring.Number.NumberId, "its answer is not a JSON object");
            return ring;
        }
    }
}

/// <summary>Nobody of ours is called in this room.</summary>
internal sealed record RefuseRoom(string RoomName) : ICommand<Done>;

internal sealed class RefuseRoomHandler(OutboxWriter outbox) : IRequestHandler<RefuseRoom, Result<Done>>
{
    public async Task<Result<Done>> Handle(RefuseRoom request, CancellationToken cancellationToken)
    {
        await outbox.PublishAsync(new CallRoomUnwanted(request.RoomName), cancellationToken);
        return default(Done);
    }
}
