using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer.Sip;

namespace VoicePlatform.Bench;

/// <summary>
/// From the answer of a telephone to the greeting's first sound at it: REST, queue, dialler, agent, room, gateway, SIP and RTP on one
/// machine; the telephone is in this process, over loopback. One call after the other.
/// </summary>
internal static class AnswerBench
{
    private const string Greeting = "Welcome to the corner bistro.";

    public static async Task RunAsync(int calls, CancellationToken ct)
    {
        await using var host = await HostProcess.StartAsync(ct);
        await using var phone = new TestPhone(new TestPhoneOptions { Rings = TimeSpan.FromMilliseconds(500) }, TimeProvider.System, NullLoggerFactory.Instance);
        phone.Start();
        var assistant = await host.CreateAssistantAsync(Greeting, "Pardon?", ct);
        var trunk = (await host.Api.PostAsync("/v1/trunks", new
        {
            name = "bench", type = "generic", direction = "outbound", address = $"127.0.0.1:{phone.Port}", transport = "udp", numbers = new[] { "+15550100" },
        }, ct))["id"]!.GetValue<string>();
        var answerToSound = new Figures();
        var acceptedToRinging = new Figures();
        for (var i = -2; i < calls; i++)
        {
            var began = TimeProvider.System.GetTimestamp();
            var id = (await host.Api.PostAsync("/v1/calls", new { assistant_id = assistant, trunk_id = trunk, to_number = "+15550177" }, ct))["id"]!.GetValue<string>();
            await using (var call = await phone.NextCallAsync(ct))
            {
                var answered = TimeProvider.System.GetElapsedTime(began).TotalMilliseconds;
                while (call.FirstSoundAfter is null)
                {
                    await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, ct);
                }

                if (i >= 0)
                {
                    // The first two warm everything up.
                    answerToSound.Add(call.FirstSoundAfter.Value.TotalMilliseconds);
                    acceptedToRinging.Add(answered - 500);
                }
            }

            await UntilEndedAsync(host, id, ct);
        }

        Console.WriteLine($"accepted to answered, less the ringing, ms   {acceptedToRinging}");
        Console.WriteLine($"answered to first sound at the phone, ms     {answerToSound}   target: p95 <= 300");
    }

    private static async Task UntilEndedAsync(HostProcess host, string id, CancellationToken ct)
    {
        JsonNode call;
        do
        {
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, ct);
            call = await host.Api.GetAsync($"/v1/calls/{id}", ct);
        }
        while (call["ended_at"] is null);
    }
}
