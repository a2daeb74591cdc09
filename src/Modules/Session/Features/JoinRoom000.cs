using System.Buffers.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit;
using VoicePlatform.Sessions.Compat;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>
/// The AI server's side of seed 000: our agent joins the room that the token is for, with the compatibility assistant. Asked again
/// for a room that it attends, it stays as it is.
/// </summary>
internal static class JoinRoom000
{
    public static void Map(RouteGroupBuilder seed) => seed
        .MapPost("/livekit/agent-session", async (Body body, CompatTenant compat, IMediator mediator, LiveKitServer server, TimeProvider clock, CancellationToken ct) =>
        {
            if (body.Refusal is { } refusal)
            {
                return refusal.ToHttp();
            }

            if (RoomOf(body.Token!, clock.GetUtcNow()) is not { } room)
            {
                return Error.Field("token", "invalid", "'token' must be a LiveKit token that opens a room and has not expired.").ToHttp();
            }

            var taken = await mediator.Send(new Command(compat.AssistantId, room, body.Caller!, body.Payload?.Username ?? ""), ct);
            if (taken is { IsOk: true, Value.IsNew: true })
            {
                var sent = await mediator.Send(new AttendRoom(taken.Value.SessionId, body.Url ?? server.WebSocketUrl.ToString(), body.Token!), ct);
                if (!sent.IsOk)
                {
                    await mediator.Send(new FinishSession(taken.Value.SessionId, EndReasons.NeverStarted), CancellationToken.None);
                    return sent.Error.ToHttp();
                }
            }

            return taken.ToHttp(t => Results.Json(new Response(t.IsNew ? "joining" : "joined", t.SessionId, room), Json.Options));
        })
        .WithName(nameof(JoinRoom000))
        .Produces<Response>();

    /// <param name="Url">LiveKit's address; our own where it is left out.</param>
    /// <param name="Token">The agent's.</param>
    /// <param name="ParticipantIdentity">Whom it talks with; the device where it is left out.</param>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record Body(
        [property: JsonPropertyName("token")] string? Token = null, [property: JsonPropertyName("livekitUrl")] string? Url = null,
        [property: JsonPropertyName("voiceMode")] string? VoiceMode = null, [property: JsonPropertyName("participantIdentity")] string? ParticipantIdentity = null,
        [property: JsonPropertyName("payload")] Payload000? Payload = null)
    {
        [JsonIgnore]
        internal string? Caller => ParticipantIdentity ?? Payload?.DeviceId;

        [JsonIgnore]
        internal Error? Refusal =>
            string.IsNullOrEmpty(Token) ? Error.Field("token", "required", "'token' is needed.")
            : VoiceMode is not (null or AiServer.VoiceMode) ? Error.Field("voiceMode", "unknown", $"'voiceMode' must be {AiServer.VoiceMode}.")
            : Url is not null && !(Uri.TryCreate(Url, UriKind.Absolute, out var url) && url.Scheme is "ws" or "wss" or "http" or "https")
                ? Error.Field("livekitUrl", "invalid", "'livekitUrl' must be a ws, wss, http or https URL.")
            : Caller is { Length: > 0 and <= Session.IdentityMaxLength } ? null
            : Error.Field("payload.deviceId", "required", "'payload.deviceId' is needed: it names the participant to talk with.");
    }

    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record Payload000([property: JsonPropertyName("deviceId")] string? DeviceId = null, [property: JsonPropertyName("username")] string? Username = null);

    public sealed record Response(
        [property: JsonPropertyName("status")] string Status, [property: JsonPropertyName("sessionId")] string SessionId, [property: JsonPropertyName("roomName")] string RoomName);

    /// <summary>The room that a token opens; its signature is for the server to check, to which it belongs.</summary>
    private static string? RoomOf(string token, DateTimeOffset now)
    {
        try
        {
            using var claims = JsonDocument.Parse(Base64Url.DecodeFromChars(token.Split('.')[1]));
            var video = claims.RootElement.GetProperty("video");
            return video.GetProperty("roomJoin").GetBoolean() && claims.RootElement.GetProperty("exp").GetDouble() > now.ToUnixTimeSeconds()
                ? video.GetProperty("room").GetString()
                : null;
        }
        catch (Exception e) when (e is IndexOutOfRangeException or FormatException or JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>Gives the room's conversation to an agent of ours: the one that is open there, or a new one.</summary>
    public sealed record Command(string AssistantId, string RoomName, string Identity, string Username) : ICommand<Taken>;

    /// <param name="IsNew">Nobody attends it yet.</param>
    public sealed record Taken(string SessionId, bool IsNew);

    internal sealed class Handler(SessionDb db, IMediator mediator, Caller caller, TimeProvider clock) : IRequestHandler<Command, Result<Taken>>
    {
        public async Task<Result<Taken>> Handle(Command command, CancellationToken cancellationToken)
        {
            // Asked twice at once, the second waits here and then finds the conversation taken.
            await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended('session.join:' || {command.RoomName}, 0))", cancellationToken);
            var open = await db.Sessions
                .FromSql($"SELECT * FROM session.sessions WHERE room_name = {command.RoomName} AND tenant_id = {caller.TenantId} AND status <> 'ended' FOR UPDATE")
                .SingleOrDefaultAsync(cancellationToken);
            if (open is not null)
            {
                var isNew = open.TakeOver(clock.GetUtcNow());
                await db.SaveChangesAsync(cancellationToken);
                return new Taken(open.Id, isNew);
            }

            var accepted = await mediator.Send(
                new AcceptSession(new NewSession(
                    command.AssistantId, new ParticipantSpec(command.Identity),
                    Metadata: JsonSerializer.SerializeToElement(new { username = command.Username, device_id = command.Identity })) { RoomName = command.RoomName }),
                cancellationToken);
            return accepted.IsOk ? new Taken(accepted.Value.SessionId, IsNew: true) : accepted.Error;
        }
    }
}
