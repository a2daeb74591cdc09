using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Options;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Compat;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>
/// Seed 000's session start: a room and a token for a device, and an agent in it; ours, or the AI server's where AI_SERVER_URL
/// names one.
/// </summary>
internal static class StartSession000
{
    private const int UsernameMaxLength = 200;

    public static void Map(RouteGroupBuilder seed) => seed
        .MapPost("/session/start", async (Body body, CompatTenant compat, IMediator mediator, AiServer aiServer, IOptions<CompatOptions> options, CancellationToken ct) =>
        {
            if (body.Refusal is { } refusal)
            {
                return refusal.ToHttp();
            }

            var (username, deviceId) = (body.Username!.Trim(), body.DeviceId!);
            var settings = await mediator.Send(new Query(deviceId), ct);
            var started = await mediator.Send(
                new NewSession(compat.AssistantId, new ParticipantSpec(deviceId, username), DeviceSettings.Variables(settings.Value), Metadata(username, deviceId))
                {
                    OverridesJson = DeviceSettings.Overrides(settings.Value, llm: null),
                    RunsElsewhere = options.Value.AiServer is not null,
                },
                ct);
            if (started.IsOk && options.Value.AiServer is not null && await aiServer.JoinAsync(started.Value, deviceId, username, ct) is { } failure)
            {
                await mediator.Send(new FinishSession(started.Value.SessionId, EndReasons.NeverStarted), CancellationToken.None);
                return failure.ToHttp();
            }

            return started.ToHttp(s => Results.Json(
                new Response(s.SessionId, s.RoomName!, s.Token!, s.LivekitUrl!, s.Identity, options.Value.AgentIdentity, s.ExpiresAt), Json.Options));
        })
        .WithName(nameof(StartSession000))
        .Produces<Response>();

    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record Body([property: JsonPropertyName("username")] string? Username = null, [property: JsonPropertyName("deviceId")] string? DeviceId = null)
    {
        [JsonIgnore]
        internal Error? Refusal =>
            string.IsNullOrWhiteSpace(Username) || Username.Length > UsernameMaxLength
                ? Error.Field("username", "invalid", $"'username' must be 1 to {UsernameMaxLength} characters.")
                : Device000.RefusalOf(DeviceId);
    }

    /// <param name="Token">Opens the room for an hour.</param>
    /// <param name="Identity">The device's in the room.</param>
    public sealed record Response(
        [property: JsonPropertyName("sessionId")] string SessionId,
        [property: JsonPropertyName("roomName")] string RoomName,
        [property: JsonPropertyName("token")] string Token,
        [property: JsonPropertyName("livekitUrl")] string LivekitUrl,
        [property: JsonPropertyName("identity")] string Identity,
        [property: JsonPropertyName("agentIdentity")] string AgentIdentity,
        [property: JsonPropertyName("expiresAt")] DateTimeOffset ExpiresAt);

    private static JsonElement Metadata(string username, string deviceId) => JsonSerializer.SerializeToElement(new { username, device_id = deviceId });

    /// <summary>The device's settings as JSON.</summary>
    public sealed record Query(string DeviceId) : IRequest<Result<string>>;

    internal sealed class Handler(SessionDb db, Caller caller) : IRequestHandler<Query, Result<string>>
    {
        public async Task<Result<string>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Devices.AsNoTracking().Where(d => d.TenantId == caller.TenantId && d.DeviceId == request.DeviceId).Select(d => d.Settings).SingleOrDefaultAsync(cancellationToken)
            ?? "{}";
    }
}
