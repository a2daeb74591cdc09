using Npgsql;
using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions;

/// <summary>The first transaction of a conversation: the session, and the hold on the tenant's credits.</summary>
internal sealed record AcceptSession(NewSession Start) : ICommand<AcceptedSession>;

/// <summary>Keeps a conversation that no agent can attend, and why: nothing is held for it.</summary>
internal sealed record AcceptUnattended(NewSession Start, string Why) : ICommand<AcceptedSession>;

/// <param name="DispatchName">The name under which agents are called; null when none is to come.</param>
/// <param name="IsRejoined">The conversation was going on: its room is there.</param>
internal sealed record AcceptedSession(
    string SessionId, string RoomName, string Identity, bool TextOnly, string AssistantName, string? DispatchName, DateTimeOffset CreatedAt, int MaxDurationS, bool IsRejoined);

internal sealed class AcceptSessionHandler(SessionDb db, UnitOfWork unit, IMediator mediator, Caller caller, TimeProvider clock)
    : IRequestHandler<AcceptSession, Result<AcceptedSession>>, IRequestHandler<AcceptUnattended, Result<AcceptedSession>>
{
    public async Task<Result<AcceptedSession>> Handle(AcceptSession request, CancellationToken cancellationToken)
    {
        var start = request.Start;
        var assistant = await FindAsync(start, start.OverridesJson, cancellationToken);
        if (!assistant.IsOk)
        {
            return assistant.Error;
        }

        var document = assistant.Value.Document;
        if (document.Architecture is Architecture.Text && !start.TextOnly)
        {
            return SessionErrors.TextArchitecture;
        }

        if (!start.RunsElsewhere)
        {
            var providers = await mediator.Send(new FindProviders(caller.TenantId, document, Voice: !start.TextOnly), cancellationToken);
            if (!providers.IsOk)
            {
                return providers.Error;
            }
        }

        var identity = IdentityOf(start);
        if (start is { MayRejoin: true, RoomName: { } room } && await db.Sessions.AsNoTracking().SingleOrDefaultAsync(
            s => s.TenantId == caller.TenantId && s.RoomName == room && s.Status != SessionStatus.Ended && s.ParticipantIdentity == identity, cancellationToken) is { } open)
        {
            return Accepted(open, assistant.Value, null) with { IsRejoined = true };
        }

        var session = await InsertAsync(start, assistant.Value, identity, cancellationToken);
        if (session is null)
        {
            return SessionErrors.RoomTaken;
        }

        if (!session.IsTest)
        {
            var hold = await mediator.Send(new PlaceHold(session.TenantId, session.Id, session.AssistantId, Pricing.FirstHold(session.Channel, session.Longest)), cancellationToken);
            if (!hold.IsOk)
            {
                return hold.Error;
            }
        }

        if (start.RunsElsewhere)
        {
            return Accepted(session, assistant.Value, null);
        }

        // After the credits, as the contract has it; being in the same transaction, a refusal here gives the hold back.
        var ready = await mediator.Send(new CheckReadiness(caller.TenantId, document, Voice: !session.TextOnly), cancellationToken);
        return ready.IsOk ? Accepted(session, assistant.Value, ready.Value.AgentName) : ready.Error;
    }

    public async Task<Result<AcceptedSession>> Handle(AcceptUnattended request, CancellationToken cancellationToken)
    {
        var start = request.Start with { OverridesJson = null };
        var assistant = await FindAsync(start, null, cancellationToken);
        if (!assistant.IsOk)
        {
            return assistant.Error;
        }

        var session = await InsertAsync(start, assistant.Value, IdentityOf(start), cancellationToken);
        if (session is null)
        {
            return SessionErrors.RoomTaken;
        }

        await unit.AppendAsync(session.Id, [], [], [], [new SessionNote(clock.GetUtcNow(), SessionNotes.AgentAbsent, request.Why)], cancellationToken);
        return Accepted(session, assistant.Value, null);
    }

    private string IdentityOf(NewSession start) => start.Participant?.Identity ?? caller.UserId ?? "caller";

    private Task<Result<AssistantVersion>> FindAsync(NewSession start, string? overrides, CancellationToken ct) =>
        mediator.Send(new FindAssistant(caller.TenantId, start.AssistantId!, null, overrides, caller.IsTest), ct);

    private static AcceptedSession Accepted(Session s, AssistantVersion assistant, string? dispatchName) => new(
        s.Id, s.RoomName, s.ParticipantIdentity, s.TextOnly, assistant.Document.Name, dispatchName, s.CreatedAt, s.MaxDurationS, IsRejoined: false);

    /// <summary>Null when the room that the caller chose is taken, by whomever.</summary>
    private async Task<Session?> InsertAsync(NewSession start, AssistantVersion assistant, string identity, CancellationToken ct)
    {
        // A room's name carries the millisecond: a second session of one caller in the same one takes the next.
        for (var now = clock.GetUtcNow(); ; now += TimeSpan.FromMilliseconds(1))
        {
            var session = Session.Open(caller, start, assistant, identity, now);
            db.Sessions.Add(session);
            try
            {
                await db.SaveChangesAsync(ct);
                return session;
            }
            catch (DbUpdateException e) when (e.InnerException is PostgresException { ConstraintName: "sessions_room_name" })
            {
                // The savepoint that EF set has undone the insert; the transaction goes on.
                db.ChangeTracker.Clear();
                if (start.RoomName is not null)
                {
                    return null;
                }
            }
        }
    }
}
