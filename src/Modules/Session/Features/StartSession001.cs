using System.Text.Json;
using System.Text.Json.Serialization;
using VoicePlatform.Sessions.Compat;

namespace VoicePlatform.Sessions.Features;

/// <summary>
/// Seed 001's POST /session: a token for a room and an agent in it, configured by the request. Answers 200 also when no agent can
/// come (agentDispatched: false); the session's events say why.
/// </summary>
internal static class StartSession001
{
    private const int MaxConfig = 16 * 1024;

    public static void Map(RouteGroupBuilder seed) => seed
        .MapPost("/session", async (Body body, CompatTenant compat, IMediator mediator, TimeProvider clock, CancellationToken ct) =>
        {
            if (body.Refusal is { } refusal)
            {
                return refusal.ToHttp();
            }

            var config = body.AgentConfig ?? new AgentConfig001();
            var started = await mediator.Send(
                new NewSession(compat.AssistantId, new ParticipantSpec(body.UserIdentity))
                {
                    RoomName = body.RoomName ?? $"room-{Guid.CreateVersion7(clock.GetUtcNow())}",
                    OverridesJson = config.ToOverrides(),
                    AgentMetadataJson = JsonSerializer.Serialize(config, AgentConfig001.Wire),
                    AgentIsOptional = true,
                },
                ct);
            return started.ToHttp(s => Results.Json(
                new Response(s.Token!, s.RoomName!, s.LivekitUrl!, s.AgentDispatched, new(config.Stt, config.Tts, config.Llm, config.Realtime)), AgentConfig001.Wire));
        })
        .WithName(nameof(StartSession001))
        .Produces<Response>();

    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    public sealed record Body(
        [property: JsonPropertyName("userIdentity")] string? UserIdentity = null,
        [property: JsonPropertyName("roomName")] string? RoomName = null,
        [property: JsonPropertyName("agentConfig")] AgentConfig001? AgentConfig = null)
    {
        [JsonIgnore]
        internal Error? Refusal =>
            UserIdentity is null || !NewSession.OfName().IsMatch(UserIdentity) ? Refuse("userIdentity", "must be 1 to 128 letters, digits, '_' or '-'.")
            : RoomName is not null && NewSession.RefusalOfRoom(RoomName) is { } why ? Refuse("roomName", why)
            : AgentConfig is not null && JsonSerializer.Serialize(AgentConfig, AgentConfig001.Wire).Length > MaxConfig ? Refuse("agentConfig", "may have 16 KB.")
            : null;

        private static Error Refuse(string field, string why) => Error.Field(field, "invalid", $"'{field}' {why}");
    }

    public sealed record Response(
        [property: JsonPropertyName("userToken")] string UserToken,
        [property: JsonPropertyName("roomName")] string RoomName,
        [property: JsonPropertyName("livekitUrl")] string LivekitUrl,
        [property: JsonPropertyName("agentDispatched")] bool AgentDispatched,
        [property: JsonPropertyName("agentConfig")] Echo AgentConfig);

    /// <summary>Of the configuration, what the seed tells back: as it was given, and only where it was.</summary>
    public sealed record Echo(string? Stt, string? Tts, string? Llm, bool? Realtime);
}
