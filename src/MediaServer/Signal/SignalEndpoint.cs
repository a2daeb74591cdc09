using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;
using Room = VoicePlatform.MediaServer.Rooms.Room;

namespace VoicePlatform.MediaServer.Signal;

/// <summary>Where clients come in: <c>/rtc/v1</c> (WebSocket) and the validate routes they call when that was refused.</summary>
internal sealed class SignalEndpoint(RoomDirectory rooms, Callers callers, MediaServerOptions options, TimeProvider clock, ILoggerFactory logs)
{
    private readonly ILogger _log = logs.CreateLogger<SignalConnection>();

    public async Task ConnectAsync(HttpContext context, CancellationToken stopping)
    {
        if (!context.WebSockets.IsWebSocketRequest)
        {
            await RefuseAsync(context, new Refusal(StatusCodes.Status400BadRequest, "this is a WebSocket endpoint"));
            return;
        }

        if (Check(context, needsRequest: true, out var ticket) is { } refusal)
        {
            await RefuseAsync(context, refusal);
            return;
        }

        var signal = new SignalConnection(_log);
        var (outcome, room, participant) = await JoinAsync(ticket!, signal, context.RequestAborted);
        if (Explain(outcome) is { } unable)
        {
            await RefuseAsync(context, unable);
            return;
        }

        try
        {
            using var socket = await context.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext
            {
                // Finds sockets whose other side is gone without a word.
                KeepAliveInterval = TimeSpan.FromSeconds(10),
                KeepAliveTimeout = TimeSpan.FromSeconds(15),
            });
            await signal.RunAsync(
                socket,
                request => participant is null ? ValueTask.CompletedTask : HandAsync(room!, participant, signal, request, stopping),
                clock,
                stopping);
        }
        finally
        {
            if (participant is not null)
            {
                await room!.PostAsync(() => room.SignalEnded(participant, signal), CancellationToken.None);
            }
        }
    }

    /// <summary>Ends when the room has handled the message: each client has one at a time in the room's mailbox, however many it sends.</summary>
    private static async ValueTask HandAsync(Room room, Participant participant, SignalConnection signal, SignalRequest request, CancellationToken stopping)
    {
        try
        {
            await room.AskAsync(
                () =>
                {
                    room.Handle(participant, signal, request);
                    return true;
                },
                stopping);
        }
        catch (RoomClosedException)
        {
            // The client is told by the room.
        }
    }

    /// <summary>Says whether a join would be let in, and if not why: sockets cannot tell.</summary>
    public Task ValidateAsync(HttpContext context, bool needsRequest)
    {
        if (Check(context, needsRequest, out _) is { } refusal)
        {
            return RefuseAsync(context, refusal);
        }

        return WriteAsync(context, StatusCodes.Status200OK, "success");
    }

    public static Task RefuseOldClientAsync(HttpContext context) => WriteAsync(
        context,
        StatusCodes.Status404NotFound,
        "This server speaks the single-connection protocol at /rtc/v1, which LiveKit's clients use since livekit-client 2.17; update the client.");

    private Refusal? Check(HttpContext context, bool needsRequest, out JoinTicket? ticket)
    {
        ticket = null;
        if (!callers.TryVerify(Callers.TokenOf(context.Request), out var caller, out var reason))
        {
            return new Refusal(StatusCodes.Status401Unauthorized, reason);
        }

        if (caller.Token.Video is not { RoomJoin: true } grant)
        {
            return new Refusal(StatusCodes.Status401Unauthorized, "permissions denied");
        }

        if (grant.Room is not { Length: > 0 and <= Limits.NameLength } name)
        {
            return new Refusal(StatusCodes.Status400BadRequest, $"the token must name a room of at most {Limits.NameLength} characters");
        }

        if (caller.Token.Identity is not { Length: > 0 and <= Limits.NameLength })
        {
            return new Refusal(StatusCodes.Status400BadRequest, $"the token must give an identity of at most {Limits.NameLength} characters");
        }

        if (Sizes.Refuse(caller.Token.Name, caller.Token.Metadata, caller.Token.Attributes) is { } tooLarge)
        {
            return new Refusal(StatusCodes.Status400BadRequest, tooLarge);
        }

        if (!options.AutoCreateRooms && !grant.RoomCreate && rooms.Find(name) is null)
        {
            return new Refusal(StatusCodes.Status404NotFound, "requested room does not exist");
        }

        if (!needsRequest)
        {
            return null;
        }

        var encoded = context.Request.Query["join_request"].ToString();
        if (encoded.Length == 0)
        {
            return new Refusal(StatusCodes.Status400BadRequest, "join_request is required");
        }

        if (JoinRequests.TryRead(encoded, out var unreadable) is not { } request)
        {
            return new Refusal(StatusCodes.Status400BadRequest, unreadable);
        }

        ticket = new JoinTicket(caller, request);
        return null;
    }

    private async Task<(JoinOutcome Outcome, Room? Room, Participant? Participant)> JoinAsync(
        JoinTicket ticket,
        SignalConnection signal,
        CancellationToken cancellationToken)
    {
        var configuration = ticket.Token.Token.RoomConfig ?? new RoomConfiguration();
        while (!rooms.IsStopped)
        {
            var room = rooms.GetOrCreate(configuration, ticket.Token.Token.Video!.Room!, out _);
            try
            {
                // Not cancelled half-way: a participant that was let in must get its connection, or lose it in order.
                var (outcome, participant) = await room.AskAsync(() => room.Join(ticket, signal), CancellationToken.None);
                return (outcome, room, participant);
            }
            catch (RoomClosedException)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }
        }

        return (JoinOutcome.Stopping, null, null);
    }

    private static Refusal? Explain(JoinOutcome outcome) => outcome switch
    {
        // LiveKit's status, unlikely as it is: its clients expect it.
        JoinOutcome.Full => new Refusal(StatusCodes.Status500InternalServerError, "room has exceeded its max participants"),
        JoinOutcome.NoMedia => new Refusal(StatusCodes.Status503ServiceUnavailable, "no more media connections can be made"),
        JoinOutcome.Stopping => new Refusal(StatusCodes.Status503ServiceUnavailable, "the server is stopping"),
        _ => null,
    };

    private static Task RefuseAsync(HttpContext context, Refusal refusal) => WriteAsync(context, refusal.Status, refusal.Reason);

    private static async Task WriteAsync(HttpContext context, int status, string text)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        await context.Response.WriteAsync(text, context.RequestAborted);
    }

    private sealed record Refusal(int Status, string Reason);
}
