using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Calls;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.SharedKernel.Outbox;

namespace VoicePlatform.Calls.Inbound;

/// <summary>Takes a ringing call in: its row, its hold, its session and the agent's order, in one transaction. A ring told twice is one call.</summary>
internal sealed record AcceptInbound(InboundRing Ring) : ICommand<Done>;

/// <summary>Turns a ringing call away; what came of it stays in the tenant's records.</summary>
internal sealed record RefuseInbound(InboundRing Ring, Error Why) : ICommand<Done>;

internal sealed class AcceptInboundHandler(CallDb db, UnitOfWork unit, IMediator mediator, OutboxWriter outbox, TimeProvider clock) : IRequestHandler<AcceptInbound, Result<Done>>
{
    public async Task<Result<Done>> Handle(AcceptInbound request, CancellationToken cancellationToken)
    {
        var ring = request.Ring;
        var assistant = await mediator.Send(new FindAssistant(ring.Number.TenantId, ring.Number.AssistantId), cancellationToken);
        if (!assistant.IsOk)
        {
            return assistant.Error;
        }

        if (ring.Number.MaxConcurrent is { } limit && await db.Calls.CountAsync(
            c => c.TrunkId == ring.Number.TrunkId && (c.Status == CallStatus.Dialing || c.Status == CallStatus.Ringing || c.Status == CallStatus.InProgress), cancellationToken) >= limit)
        {
            return CallErrors.TrunkFull;
        }

        var call = Call.Ring(ring, assistant.Value, clock.GetUtcNow());
        if (!await db.InsertNewAsync(call, cancellationToken))
        {
            return default(Done);
        }

        var held = await mediator.Send(new HoldForCall(call.TenantId, call.Id, call.AssistantId, call.Direction, call.ToNumber, call.Record, call.MaxDurationS), cancellationToken);
        if (!held.IsOk)
        {
            return held.Error;
        }

        var session = await mediator.Send(
            new OpenPhoneSession(
                call.TenantId, call.AssistantId, call.AssistantVersion, null, ring.RoomName, ring.ParticipantIdentity, ring.Variables, ring.MetadataJson, null,
                call.IsTest, call.Record, call.Phone),
            cancellationToken);
        if (!session.IsOk)
        {
            return session.Error;
        }

        call.Link(session.Value.SessionId, ring.RoomName, ring.ParticipantIdentity);
        await db.SaveChangesAsync(cancellationToken);
        await unit.NoteAsync(call.Id, clock.GetUtcNow(), "call.ringing", $"from {(ring.FromNumber.Length == 0 ? "a withheld number" : ring.FromNumber)}", cancellationToken);
        await outbox.PublishAsync(new InboundCallAccepted(call.Id, session.Value.SessionId, ring.RoomName, session.Value.AgentName), cancellationToken);
        return default(Done);
    }
}

internal sealed class RefuseInboundHandler(CallDb db, IMediator mediator, CallEnding ending, OutboxWriter outbox, TimeProvider clock) : IRequestHandler<RefuseInbound, Result<Done>>
{
    public async Task<Result<Done>> Handle(RefuseInbound request, CancellationToken cancellationToken)
    {
        var (ring, why) = request;

        // An assistant that is gone leaves no version to name: the record says 0.
        var assistant = await mediator.Send(new FindAssistant(ring.Number.TenantId, ring.Number.AssistantId), cancellationToken);
        var version = assistant.IsOk ? assistant.Value : new AssistantVersion(ring.Number.AssistantId, 0, new AssistantDocument { Name = "" });
        var call = Call.Ring(ring, version, clock.GetUtcNow());
        if (!await db.InsertNewAsync(call, cancellationToken))
        {
            return default(Done);
        }

        await outbox.PublishAsync(new CallRoomUnwanted(ring.RoomName), cancellationToken);
        var outcome = why.Kind switch
        {
            ErrorKind.PaymentRequired => new Outcome(CallStatus.Rejected, "no_credits", Fault.Tenant),
            ErrorKind.Unavailable => new(CallStatus.Rejected, "no_capacity", why == CallErrors.TrunkFull ? Fault.Tenant : Fault.Platform),
            _ when why.Code == "assistant.provider_missing" => new(CallStatus.Failed, "provider_missing", Fault.Tenant, null, why.Message),
            ErrorKind.NotFound => new(CallStatus.Failed, "assistant_gone", Fault.Tenant),
            _ => new(CallStatus.Failed, "assistant_unusable", Fault.Tenant),
        };
        return await ending.UnansweredAsync(call, outcome, outcome.Cause, cancellationToken);
    }
}

internal static class NewCalls
{
    /// <summary>False when the room has its call already: the same ring, told twice.</summary>
    public static async Task<bool> InsertNewAsync(this CallDb db, Call call, CancellationToken ct)
    {
        // Two tellings at the same moment: the second waits here and then sees the first one's call.
        await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended('call.ring:' || {call.RoomName}, 0))", ct);
        if (await db.Calls.AnyAsync(c => c.RoomName == call.RoomName, ct))
        {
            return false;
        }

        db.Calls.Add(call);
        await db.SaveChangesAsync(ct);
        return true;
    }
}
