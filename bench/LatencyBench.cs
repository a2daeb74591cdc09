using System.Text.Json.Nodes;
using VoicePlatform.Demo;

namespace VoicePlatform.Bench;

/// <summary>
/// What the platform adds to the response time of one conversation. The caller is a native LiveKit client in this process; the host, with
/// media server, agent, local providers and PostgreSQL, runs in others, over loopback.
/// </summary>
internal static class LatencyBench
{
    private const double EndpointingMs = 500;       // the assistant's setting turn.min_endpointing_s
    private const double DetectorMs = 300;          // the silence after which the recogniser is told that the segment is over

    private static readonly string[] Questions = ["what are your opening hours", "can you tell me my name", "is there a table for two"];

    public static async Task RunAsync(int turns, CancellationToken ct)
    {
        await using var host = await HostProcess.StartAsync(ct);
        var assistant = await host.CreateAssistantAsync("Welcome to the corner bistro.", "We are open from nine to ten.", ct);
        var (session, url, token) = await host.StartSessionAsync(assistant, "caller", ct);
        var speech = new List<short[]>();
        foreach (var question in Questions)
        {
            speech.Add(await Tools.SpeakAsync(question, ct));
        }

        var heard = new List<double>();
        await using (var caller = await Caller.JoinAsync(url, token, await Machine.LibraryAsync(), Path.Combine(Machine.Root, ".data", "native"), (_, _, _) => { }, TimeProvider.System, ct))
        {
            await caller.HearOutAsync(TimeSpan.FromMilliseconds(700), ct);
            for (var i = 0; i < turns && !caller.Left.IsCompleted; i++)
            {
                await caller.SayAsync(speech[i % speech.Count], ct);
                await caller.HearOutAsync(TimeSpan.FromMilliseconds(700), ct);
                if (caller.ResponseTime is { } response)
                {
                    heard.Add(response.TotalMilliseconds);
                }
            }
        }

        Print(heard, await TimingsAsync(host, session, heard.Count, ct));
    }

    private static async Task<Dictionary<int, JsonNode>> TimingsAsync(HostProcess host, string session, int turns, CancellationToken ct)
    {
        while (true)
        {
            var timings = (await host.Api.GetAsync($"/v1/sessions/{session}/turns?limit=100", ct))["data"]!.AsArray()
                .Where(t => t!["response_ms"] is not null).ToDictionary(t => t!["turn"]!.GetValue<int>(), t => t!);
            if (timings.Count(t => t.Key > 0) >= turns)
            {
                return timings;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, ct);
        }
    }

    private static void Print(List<double> heard, Dictionary<int, JsonNode> timings)
    {
        var (ear, added, way, endpointing, recogniser, token, voice) = (new Figures(), new Figures(), new Figures(), new Figures(), new Figures(), new Figures(), new Figures());
        for (var i = 0; i < heard.Count; i++)
        {
            var turn = timings[i + 1];
            var waited = Math.Max(0, DetectorMs + Ms("transcription_ms") - EndpointingMs);
            ear.Add(heard[i]);
            way.Add(heard[i] - Ms("response_ms"));
            endpointing.Add(Ms("endpointing_ms") - EndpointingMs);
            recogniser.Add(waited);
            token.Add(Ms("first_token_ms"));
            voice.Add(Ms("first_audio_ms"));
            added.Add(heard[i] - EndpointingMs - waited - Ms("first_token_ms") - Ms("first_audio_ms"));

            double Ms(string name) => turn[name]?.GetValue<double>() ?? 0;
        }

        Console.WriteLine($"""
            all in ms          p50, p95, max over the turns
            at the ear         {ear}   the caller's last sound to the assistant's first, both at the caller
            added by us        {added}   that less the endpointing delay ({EndpointingMs:0}) and what providers took   target: p95 <= 150
              both ways        {way}   caller to agent and back: codecs, packets, jitter buffers, the client's 20 ms frames
              decision         {endpointing}   beyond the endpointing delay, the wait for the recogniser included
            providers took
              recogniser       {recogniser}   beyond the endpointing delay
              model            {token}   to its first text
              voice            {voice}   to its first audio
            """);
    }
}
