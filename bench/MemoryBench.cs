using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Bench;

/// <summary>Resident bytes of the host's process for each further session whose caller is there and silent. Decoders, which are a pool, are apart.</summary>
internal static class MemoryBench
{
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(12);

    public static async Task RunAsync(int sessions, CancellationToken ct)
    {
        await using var host = await HostProcess.StartAsync(ct);
        var assistant = await host.CreateAssistantAsync("Welcome.", "Yes.", ct);
        await using var engine = new RtcEngine(
            new RtcLibrary(await Machine.LibraryAsync(), Path.Combine(Machine.Root, ".data", "native")), NullLoggerFactory.Instance, TimeProvider.System);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var callers = new List<Task>();

        // Two first: what is made once for all of them is not counted.
        await AddAsync(2);
        var before = Machine.ResidentBytes(host.Pid);
        await AddAsync(sessions);
        var after = Machine.ResidentBytes(host.Pid);
        await stop.CancelAsync();
        await Task.WhenAll(callers).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

        Console.WriteLine($"resident           {before / 1e6:0.0} MB with 2 sessions, {after / 1e6:0.0} MB with {sessions + 2}");
        Console.WriteLine($"a session          {(after - before) / 1e6 / sessions:0.0} MB   target: <= 15");

        async Task AddAsync(int count)
        {
            for (var i = 0; i < count; i++)
            {
                var (_, url, token) = await host.StartSessionAsync(assistant, $"caller-{callers.Count}", ct);
                callers.Add(BeThereAsync(engine, url, token, stop.Token));
            }

            await Task.Delay(Settling, TimeProvider.System, ct);
            var failed = callers.FirstOrDefault(c => c.IsCompleted);
            if (failed is not null)
            {
                await failed;
                throw new InvalidOperationException("A caller's room was over before the measurement was.");
            }
        }
    }

    private static async Task BeThereAsync(RtcEngine engine, string url, string token, CancellationToken ct)
    {
        await using var room = await engine.ConnectAsync(url, token, new RoomOptions(), ct);
        using var microphone = engine.CreateAudioSource(new AudioSourceFormat(16_000));
        await room.LocalParticipant.PublishAudioAsync(microphone, new AudioPublishOptions { Name = "microphone" }, ct);
        var silence = new short[320];
        while (!ct.IsCancellationRequested && !room.Ended.IsCompleted)
        {
            await microphone.CaptureAsync(silence, ct);
        }
    }
}
