using System.Net.Http.Headers;
using System.Net.Http.Json;
using Microsoft.Extensions.Options;

namespace VoicePlatform.Sessions.Compat;

/// <summary>Seed 000's AI server: somebody else's agent, asked over HTTP to join a room. The operator names it, so it may be anywhere.</summary>
internal sealed partial class AiServer(HttpClient http, SessionRooms rooms, PublicMediaUrl mediaUrl, IOptions<CompatOptions> options, TimeProvider clock, ILogger<AiServer> log)
{
    /// <summary>What the agent is to be in the room, as seed 000 names it.</summary>
    public const string VoiceMode = "assistant_native_audio";

    private const string SecretHeader = "x-shared-secret";

    /// <summary>Asks once: a second asking might bring a second agent.</summary>
    /// <returns>Null when the agent comes.</returns>
    public async Task<Error?> JoinAsync(StartedSession session, string deviceId, string username, CancellationToken ct)
    {
        var settings = options.Value;
        using var late = new CancellationTokenSource(settings.AiServerTimeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        using var request = new HttpRequestMessage(HttpMethod.Post, settings.AiServer);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", settings.SharedSecret);
        request.Headers.Add(SecretHeader, settings.SharedSecret);
        request.Content = JsonContent.Create(new
        {
            token = rooms.AgentsToken(session.RoomName!, settings.AgentIdentity),
            livekitUrl = mediaUrl.Url,
            roomName = session.RoomName,
            agentIdentity = settings.AgentIdentity,
            participantIdentity = session.Identity,
            voiceMode = VoiceMode,
            payload = new { deviceId, username },
        });
        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            return response.IsSuccessStatusCode ? null : Refused($"answered {(int)response.StatusCode}");
        }
        catch (Exception e) when (e is HttpRequestException || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            return Refused(e is HttpRequestException ? "could not be reached" : $"did not answer within {settings.AiServerTimeout.TotalMilliseconds:0} ms");
        }

        Error Refused(string what)
        {
            NoAgent(log, session.SessionId, what);
            return new(ErrorKind.Unavailable, "ai_server.unavailable", $"The AI server {what}: no agent would come.");
        }
    }

    [LoggerMessage(LogLevel.Warning, "Session {SessionId} gets no agent: the AI server {What}")]
    private static partial void NoAgent(ILogger logger, string sessionId, string what);
}
