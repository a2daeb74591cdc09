using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Options;
using VoicePlatform.Sessions.Compat;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>
/// Seed 000's chat: a turn of the device's text session, which the first message opens. Ollama answers where it is set up, else the
/// assistant's own model.
/// </summary>
internal static class ChatWithAgent000
{
    public static void Map(RouteGroupBuilder seed) => seed
        .MapPost("/agent/chat", async (Body body, CompatTenant compat, IMediator mediator, CancellationToken ct) =>
        {
            if (body.Refusal is { } refusal)
            {
                return refusal.ToHttp();
            }

            // The conversation may end between finding it and writing to it: then the message begins the next one.
            for (var again = true; ; again = false)
            {
                var chat = await mediator.Send(new Command(compat.AssistantId, body.DeviceId!, body.Username), ct);
                var reply = chat.IsOk ? await mediator.Send(new TextTurn(chat.Value.SessionId, body.Words), ct) : chat.Error;
                if (reply.Error != SessionErrors.AlreadyEnded || !again)
                {
                    return reply.ToHttp(r => Results.Json(new Response(r.Text, chat.Value.SessionId, r.Turn, r.Ended), Json.Options));
                }
            }
        })
        .WithName(nameof(ChatWithAgent000))
        .Produces<Response>();

    /// <param name="Text">The same as message.</param>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record Body(
        [property: JsonPropertyName("deviceId")] string? DeviceId = null, [property: JsonPropertyName("message")] string? Message = null,
        [property: JsonPropertyName("text")] string? Text = null, [property: JsonPropertyName("username")] string? Username = null)
    {
        [JsonIgnore]
        internal string? Words => Message ?? Text;

        [JsonIgnore]
        internal Error? Refusal =>
            Device000.RefusalOf(DeviceId)
            ?? (Words is { Length: > 0 and <= 8_000 } ? null : Error.Field("message", "invalid", "'message' must be 1 to 8000 characters."))
            ?? (Username is not { Length: > 200 } ? null : Error.Field("username", "invalid", "'username' may have 200 characters."));
    }

    /// <param name="Ended">The conversation is over: the next message begins another.</param>
    public sealed record Response(
        [property: JsonPropertyName("reply")] string Reply, [property: JsonPropertyName("sessionId")] string SessionId,
        [property: JsonPropertyName("turn")] int Turn, [property: JsonPropertyName("ended")] bool Ended);

    /// <summary>The device's open chat, or a new one.</summary>
    public sealed record Command(string AssistantId, string DeviceId, string? Username) : ICommand<Chat>;

    public sealed record Chat(string SessionId);

    internal sealed class Handler(SessionDb db, IMediator mediator, Caller caller, IOptions<CompatOptions> options) : IRequestHandler<Command, Result<Chat>>
    {
        public async Task<Result<Chat>> Handle(Command command, CancellationToken cancellationToken)
        {
            // Two first messages at once are one conversation.
            await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended('session.chat:' || {caller.TenantId} || ':' || {command.DeviceId}, 0))", cancellationToken);
            var open = await db.Sessions.AsNoTracking()
                .Where(s => s.TenantId == caller.TenantId && s.TextOnly && s.ParticipantIdentity == command.DeviceId && s.Status != SessionStatus.Ended)
                .OrderByDescending(s => s.Id)
                .Select(s => s.Id)
                .FirstOrDefaultAsync(cancellationToken);
            if (open is not null)
            {
                return new Chat(open);
            }

            var settings = await db.Devices.AsNoTracking().Where(d => d.TenantId == caller.TenantId && d.DeviceId == command.DeviceId)
                .Select(d => d.Settings).SingleOrDefaultAsync(cancellationToken) ?? "{}";
            var accepted = await mediator.Send(
                new AcceptSession(new NewSession(
                    command.AssistantId, new ParticipantSpec(command.DeviceId, command.Username), DeviceSettings.Variables(settings),
                    JsonSerializer.SerializeToElement(new { username = command.Username ?? "", device_id = command.DeviceId }), TextOnly: true)
                {
                    OverridesJson = DeviceSettings.Overrides(settings, options.Value.ChatModel),
                }),
                cancellationToken);
            return accepted.IsOk ? new Chat(accepted.Value.SessionId) : accepted.Error;
        }
    }
}
