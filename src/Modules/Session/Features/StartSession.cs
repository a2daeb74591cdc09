using System.Text.Json;
using Npgsql;

using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>
/// Opens a conversation: accepted and paid for in one transaction, then its room and agent, then the caller's token. What dies
/// in between is ended by the sweeper, with its hold.
/// </summary>
internal static class StartSession
{
    private static readonly TimeSpan TokenLifetime = TimeSpan.FromHours(1);

    /// <summary>Seconds a room outlives its last participant: time for a caller who lost the connection to come back.</summary>
    private const uint DepartureTimeout = 20;

    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapPost("/", async (Command command, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status201Created)))
        .WithName(nameof(StartSession))
        .Produces<Response>(StatusCodes.Status201Created);

    /// <param name="AgentId">Seed 004's name for assistant_id.</param>
    public sealed record Command(
        string? AssistantId = null, string? AgentId = null, ParticipantSpec? Participant = null,
        IReadOnlyDictionary<string, string>? Variables = null, JsonElement? Metadata = null, bool TextOnly = false) : IRequest<Result<Response>>, IEffect
    {
        internal string? Assistant => AssistantId ?? AgentId;
    }

    public sealed record ParticipantSpec(string? Identity = null, string? Name = null, string? Metadata = null, IReadOnlyDictionary<string, string>? Attributes = null);

    /// <summary>Of a text session, what belongs to a room is null.</summary>
    public sealed record Response(string Id, string? RoomName, string? Token, string? LivekitUrl, string? AgentName, DateTimeOffset ExpiresAt);

    internal sealed class Validator : AbstractValidator<Command>
    {
        private const int MaxEntries = 100;
        private const int MaxJson = 16 * 1024;

        public Validator()
        {
            RuleFor(c => c.Assistant).Must(id => Ids.IsWellFormed(id, Ids.Assistant)).OverridePropertyName("assistant_id").WithMessage("'assistant_id' must be an assistant's id.");
            RuleFor(c => c.Participant!.Identity).Length(1, Session.IdentityMaxLength).Must(i => i is null || !i.Any(char.IsControl))
                .When(c => c.Participant?.Identity is not null).WithMessage($"'participant.identity' must be 1 to {Session.IdentityMaxLength} printable characters.");
            RuleFor(c => c.Participant!.Name).MaximumLength(200).When(c => c.Participant is not null);
            RuleFor(c => c.Participant!.Metadata).MaximumLength(MaxJson).When(c => c.Participant is not null);
            RuleFor(c => c.Participant!.Attributes).Must(a => a is null || (a.Count <= MaxEntries && a.All(p => p.Key.Length <= 128 && p.Value is { Length: <= 4096 })))
                .When(c => c.Participant is not null).WithMessage("'participant.attributes' may have 100 texts of 4096 characters.");
            RuleFor(c => c.Variables).Must(v => v is null || (v.Count <= MaxEntries && v.All(p => p.Key.Length <= 64 && p.Value is { Length: <= 4000 })))
                .WithMessage("'variables' may have 100 texts of 4000 characters.");
            RuleFor(c => c.Metadata).Must(m => m is null || (m.Value.ValueKind is JsonValueKind.Object && m.Value.GetRawText().Length <= MaxJson))
                .WithMessage("'metadata' must be an object of up to 16 KB.");
        }
    }

    internal sealed class Handler(IMediator mediator, LiveKitApi livekit, LiveKitServer server, PublicMediaUrl publicUrl, TimeProvider clock, ILogger<Handler> log)
        : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            var accepted = await mediator.Send(new Accept(command), cancellationToken);
            if (!accepted.IsOk)
            {
                return accepted.Error;
            }

            var (session, agentName) = accepted.Value;
            if (session.TextOnly)
            {
                return new Response(session.Id, null, null, null, agentName, session.CreatedAt + TimeSpan.FromSeconds(session.MaxDurationS));
            }

            // Checkpoint: accepted and held. A crash from here on leaves a session that no agent attends; the sweeper ends it.
            try
            {
                await livekit.Rooms.CreateAsync(RoomOf(session, agentName), cancellationToken);
            }
            catch (Exception e) when (e is LiveKitApiException or HttpRequestException or OperationCanceledException)
            {
                SessionLog.RoomFailed(log, session.Id, e);
                await mediator.Send(new FinishSession(session.Id, EndReasons.NeverStarted), CancellationToken.None);
                return SessionErrors.MediaUnavailable;
            }

            var expiresAt = clock.GetUtcNow() + TokenLifetime;
            return new Response(session.Id, session.RoomName, TokenOf(session, command.Participant), publicUrl.Url, agentName, expiresAt);
        }

        private static CreateRoomRequest RoomOf(Session session, string agentName) => new()
        {
            Name = session.RoomName,
            DepartureTimeout = DepartureTimeout,
            Agents = { new RoomAgentDispatch { AgentName = agentName, Metadata = Json.Write(new { session_id = session.Id }) } },
        };

        private string TokenOf(Session session, ParticipantSpec? participant) => new AccessToken
        {
            Identity = session.ParticipantIdentity,
            Name = participant?.Name,
            Metadata = participant?.Metadata,
            Attributes = participant?.Attributes,
            Video = new() { RoomJoin = true, Room = session.RoomName, CanPublish = true, CanSubscribe = true, CanPublishData = true },
        }.Sign(server.Key, clock.GetUtcNow(), TokenLifetime);
    }

    /// <summary>The first transaction: the session, and the hold on the tenant's credits.</summary>
    internal sealed record Accept(Command Start) : ICommand<Accepted>;

    internal sealed record Accepted(Session Session, string AgentName);

    internal sealed class AcceptHandler(SessionDb db, IMediator mediator, Caller caller, TimeProvider clock) : IRequestHandler<Accept, Result<Accepted>>
    {
        public async Task<Result<Accepted>> Handle(Accept request, CancellationToken cancellationToken)
        {
            var start = request.Start;
            var assistant = await mediator.Send(new FindAssistant(caller.TenantId, start.Assistant!), cancellationToken);
            if (!assistant.IsOk)
            {
                return assistant.Error;
            }

            var document = assistant.Value.Document;
            if (document.Architecture is Architecture.Text && !start.TextOnly)
            {
                return SessionErrors.TextArchitecture;
            }

            var identity = start.Participant?.Identity ?? caller.UserId ?? "caller";
            var session = await InsertAsync(start, assistant.Value, identity, cancellationToken);
            if (!session.IsTest)
            {
                var hold = await mediator.Send(new PlaceHold(session.TenantId, session.Id, Pricing.FirstHold(session.Channel)), cancellationToken);
                if (!hold.IsOk)
                {
                    return hold.Error;
                }
            }

            // After the credits, as the contract has it; being in the same transaction, a refusal here gives the hold back.
            var ready = await mediator.Send(new CheckReadiness(document, Voice: !session.TextOnly), cancellationToken);
            return ready.IsOk ? new Accepted(session, ready.Value.AgentName) : ready.Error;
        }

        private async Task<Session> InsertAsync(Command start, AssistantVersion assistant, string identity, CancellationToken ct)
        {
            // The room's name carries the millisecond: a second session of one caller in the same one takes the next.
            for (var now = clock.GetUtcNow(); ; now += TimeSpan.FromMilliseconds(1))
            {
                var session = Session.Open(
                    caller.TenantId, assistant.AssistantId, assistant.Version, identity, start.TextOnly, caller.IsTest,
                    start.Variables ?? new Dictionary<string, string>(), start.Metadata, assistant.Document.Limits.MaxDurationS, now);
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
                }
            }
        }
    }
}
