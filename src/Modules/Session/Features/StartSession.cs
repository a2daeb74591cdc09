using System.Text.Json;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Sessions.Features;

/// <summary>
/// Opens a conversation: accepted and paid for in one transaction, then its room and agent, then the caller's token. What dies
/// in between is ended by the sweeper, with its hold.
/// </summary>
internal static class StartSession
{
    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapPost("/", async (Body body, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(body.ToRequest(), ct)).ToHttp(s => TypedResults.Json(
                new Response(s.SessionId, s.RoomName, s.Token, s.LivekitUrl, s.AgentName, s.ExpiresAt), Json.Options, statusCode: StatusCodes.Status201Created)))
        .WithName(nameof(StartSession))
        .Produces<Response>(StatusCodes.Status201Created);

    /// <param name="AgentId">Seed 004's name for assistant_id.</param>
    public sealed record Body(
        string? AssistantId = null, string? AgentId = null, ParticipantSpec? Participant = null,
        IReadOnlyDictionary<string, string>? Variables = null, JsonElement? Metadata = null, bool TextOnly = false)
    {
        internal NewSession ToRequest() => new(AssistantId ?? AgentId, Participant, Variables, Metadata, TextOnly);
    }

    /// <summary>Of a text session, what belongs to a room is null.</summary>
    /// <param name="AgentName">What the assistant is called.</param>
    public sealed record Response(string Id, string? RoomName, string? Token, string? LivekitUrl, string AgentName, DateTimeOffset ExpiresAt);

    internal sealed class Handler(IMediator mediator, SessionRooms rooms, PublicMediaUrl publicUrl, TimeProvider clock, ILogger<Handler> log)
        : IRequestHandler<NewSession, Result<StartedSession>>
    {
        public async Task<Result<StartedSession>> Handle(NewSession start, CancellationToken cancellationToken)
        {
            var accepted = await mediator.Send(new AcceptSession(start), cancellationToken);
            if (start.AgentIsOptional && accepted.Error is { Kind: not (ErrorKind.Conflict or ErrorKind.NotFound) } absence)
            {
                accepted = await mediator.Send(new AcceptUnattended(start, absence.Message), cancellationToken);
            }

            if (!accepted.IsOk)
            {
                return accepted.Error;
            }

            var session = accepted.Value;
            if (session.TextOnly)
            {
                return new StartedSession(session.SessionId, session.Identity, null, null, null, session.AssistantName, session.CreatedAt + TimeSpan.FromSeconds(session.MaxDurationS), true);
            }

            // Checkpoint: accepted and held. A crash from here on leaves a session that no agent attends; the sweeper ends it.
            var dispatched = session.DispatchName is not null || session.IsRejoined;
            if (!session.IsRejoined && await OpenRoomAsync(start, session, cancellationToken) is { } failure)
            {
                if (!start.AgentIsOptional || failure.Kind is ErrorKind.Conflict)
                {
                    await mediator.Send(new FinishSession(session.SessionId, EndReasons.NeverStarted), CancellationToken.None);
                    return failure;
                }

                await mediator.Send(new NoteOnSession(session.SessionId, SessionNotes.AgentAbsent, failure.Message), CancellationToken.None);
                dispatched = false;
            }

            return new StartedSession(
                session.SessionId, session.Identity, session.RoomName, rooms.CallersToken(session, start.Participant), publicUrl.Url, session.AssistantName,
                clock.GetUtcNow() + SessionRooms.TokenLifetime, dispatched);
        }

        private async Task<Error?> OpenRoomAsync(NewSession start, AcceptedSession session, CancellationToken ct)
        {
            try
            {
                // A room by that name may be somebody else's on the same server, or the last one of this name may not be closed yet.
                if (start.RoomName is not null && await rooms.ExistsAsync(session.RoomName, ct))
                {
                    return SessionErrors.RoomTaken;
                }

                await rooms.CreateAsync(session, start.AgentMetadataJson, ct);
                return null;
            }
            catch (Exception e) when (e is LiveKitApiException or HttpRequestException or OperationCanceledException)
            {
                SessionLog.RoomFailed(log, session.SessionId, e);
                return SessionErrors.MediaUnavailable;
            }
        }
    }
}
