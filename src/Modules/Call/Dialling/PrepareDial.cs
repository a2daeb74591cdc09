using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Contracts.Trunks;

namespace VoicePlatform.Calls.Dialling;

/// <summary>Opens the session of an attempt. Unavailable when it is worth trying later; any other error ends the call.</summary>
internal sealed record PrepareDial(string CallId, int Attempt) : ICommand<Prepared>;

/// <param name="Dial">Null when there is nothing to dial any more.</param>
internal sealed record Prepared(Dial? Dial);

internal sealed record Dial(
    string CallId, string SessionId, string AgentName, string RoomName, string ParticipantIdentity, Line Line, string FromNumber, string ToNumber,
    TimeSpan RingTimeout, TimeSpan MaxDuration);

/// <param name="LiveKitTrunkId">Null in test mode.</param>
/// <param name="TestPhone">host:port; null on a trunk.</param>
internal sealed record Line(string? LiveKitTrunkId, string? TestPhone);

internal sealed class PrepareDialHandler(CallDb db, UnitOfWork unit, IMediator mediator, TestLine testLine, Microsoft.Extensions.Options.IOptions<CallOptions> options, TimeProvider clock)
    : IRequestHandler<PrepareDial, Result<Prepared>>
{
    public async Task<Result<Prepared>> Handle(PrepareDial request, CancellationToken cancellationToken)
    {
        var call = await db.LockedAsync(request.CallId, cancellationToken);
        if (call is not { Status: CallStatus.Dialing, CancelRequestedAt: null } || call.Attempts != request.Attempt)
        {
            return new Prepared(null);
        }

        var line = call.IsTest ? TestLineOf() : await LineAsync(call, cancellationToken);
        if (!line.IsOk)
        {
            return line.Error;
        }

        // The id's random part makes the room's name unguessable; seed 003 finds the assistant before the first '_'.
        var suffix = $"{call.Id}{request.Attempt}";
        var room = call.IsSeed003 ? $"{call.AssistantId}_{suffix}" : $"outbound-{suffix}";
        var identity = options.Value.IdentityPrefix + call.ToNumber;
        var session = await mediator.Send(
            new OpenPhoneSession(
                call.TenantId, call.AssistantId, call.AssistantVersion, call.Overrides, room, identity, Json.Read<Dictionary<string, string>>(call.Variables), call.Metadata,
                call.MaxDurationS, call.IsTest, call.Record, call.Phone),
            cancellationToken);
        if (!session.IsOk)
        {
            return session.Error;
        }

        call.Link(session.Value.SessionId, room, identity);
        await db.SaveChangesAsync(cancellationToken);
        await unit.LinkAttemptAsync(call.Id, request.Attempt, session.Value.SessionId, room, cancellationToken);
        await unit.NoteAsync(call.Id, clock.GetUtcNow(), "attempt.started", $"Attempt {request.Attempt}", cancellationToken);
        return new Prepared(new(
            call.Id, session.Value.SessionId, session.Value.AgentName, room, identity, line.Value, call.FromNumber, call.ToNumber,
            TimeSpan.FromSeconds(call.RingTimeoutS), TimeSpan.FromSeconds(call.MaxDurationS)));
    }

    private Result<Line> TestLineOf() => testLine.Address() is { } address ? new Line(null, address) : TestLine.Missing;

    private async Task<Result<Line>> LineAsync(Call call, CancellationToken ct)
    {
        var trunk = await mediator.Send(new FindOutboundTrunk(call.TenantId, call.TrunkId), ct);
        if (!trunk.IsOk)
        {
            return new Error(ErrorKind.NotFound, "trunk_removed", "The call's trunk is gone.");
        }

        await unit.KeepLaneAsync(call.TrunkId, call.TenantId, trunk.Value.CallsPerSecond, trunk.Value.MaxConcurrent, clock.GetUtcNow(), ct);
        return trunk.Value.LiveKitTrunkId is { } livekitTrunkId ? new Line(livekitTrunkId, null) : CallErrors.TrunkNotReady;
    }
}
