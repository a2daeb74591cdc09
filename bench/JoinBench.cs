using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Bench;

/// <summary>
/// How long joining a room takes: from the call of connect in the native client to its "connected" (signalling, room state; the library
/// reports connected when its media transport stands), over loopback, a new room each time.
/// </summary>
internal static class JoinBench
{
    public static async Task RunAsync(int joins, CancellationToken ct)
    {
        using var server = await ServerProcess.StartAsync(ct);
        await using var engine = new RtcEngine(
            new RtcLibrary(await Machine.LibraryAsync(), Path.Combine(Machine.Root, ".data", "native")), NullLoggerFactory.Instance, TimeProvider.System);
        var clock = TimeProvider.System;
        var times = new Figures();
        for (var i = -5; i < joins; i++)
        {
            var token = ServerProcess.Token($"room-{i}", "caller");
            var began = clock.GetTimestamp();
            await using var room = await engine.ConnectAsync(server.Url, token, new RoomOptions { JoinRetries = 0 }, ct);
            if (i >= 0)
            {
                // The first five warm both sides up.
                times.Add(clock.GetElapsedTime(began).TotalMilliseconds);
            }
        }

        Console.WriteLine($"join, ms           {times}   target: p95 <= 100");
    }
}
