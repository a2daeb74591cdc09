using System.Text.Json.Serialization;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>Seed 001's POST /session/end: ends the room's conversation and deletes the room. A room without one is unknown.</summary>
internal static class EndSession001
{
    public static void Map(RouteGroupBuilder seed) => seed
        .MapPost("/session/end", async (Body body, IMediator mediator, SessionRooms rooms, CancellationToken ct) =>
        {
            if (string.IsNullOrEmpty(body.RoomName))
            {
                return Error.Field("roomName", "required", "'roomName' is needed.").ToHttp();
            }

            var ended = await mediator.Send(new Command(body.RoomName), ct);
            if (!ended.IsOk)
            {
                return ended.Error.ToHttp();
            }

            try
            {
                // Now, and not a moment later: the client may begin anew in a room of the same name.
                await rooms.DeleteAsync(body.RoomName, ct);
            }
            catch (LiveKitApiException)
            {
                // The conversation is over; its room follows when LiveKit answers again.
            }

            return Results.NoContent();
        })
        .WithName(nameof(EndSession001))
        .Produces(StatusCodes.Status204NoContent);

    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record Body([property: JsonPropertyName("roomName")] string? RoomName = null);

    internal sealed record Command(string RoomName) : ICommand<Done>;

    internal sealed class Handler(SessionDb db, IMediator mediator, Caller caller) : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command command, CancellationToken cancellationToken)
        {
            // Of two who end it at once one finds it open: the row is theirs in turn.
            var session = await db.Sessions
                .FromSql($"SELECT * FROM session.sessions WHERE room_name = {command.RoomName} AND tenant_id = {caller.TenantId} AND status <> 'ended' FOR UPDATE")
                .SingleOrDefaultAsync(cancellationToken);
            return session is null ? SessionErrors.NotFound : await mediator.Send(new FinishSession(session.Id, EndReasons.Requested), cancellationToken);
        }
    }
}
