using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Bench;

/// <summary>What forwarding costs: 10 rooms of two participants who all speak all the time; the processor time of the server's process.</summary>
internal static class MediaBench
{
    private const int Rooms = 10;
    private const int SampleRate = 16_000;

    public static async Task RunAsync(TimeSpan duration, CancellationToken ct)
    {
        using var server = await ServerProcess.StartAsync(ct);
        await using var engine = new RtcEngine(
            new RtcLibrary(await Machine.LibraryAsync(), Path.Combine(Machine.Root, ".data", "native")), NullLoggerFactory.Instance, TimeProvider.System);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var clock = TimeProvider.System;
        var rooms = new List<RtcRoom>();
        var work = new List<Task>();
        var heard = new long[Rooms * 2];
        for (var i = 0; i < Rooms * 2; i++)
        {
            var room = await engine.ConnectAsync(server.Url, ServerProcess.Token($"room-{i / 2}", $"p{i % 2}"), new RoomOptions { JoinRetries = 0 }, ct);
            rooms.Add(room);
            work.Add(HearAsync(room, heard, i, stop.Token));
            work.Add(SpeakAsync(engine, room, i, stop.Token));
        }

        await Task.Delay(TimeSpan.FromSeconds(3), clock, ct);
        Array.Clear(heard);
        var (began, used) = (clock.GetTimestamp(), Machine.ProcessorTime(server.Pid));
        await Task.Delay(duration, clock, ct);
        var (elapsed, time) = (clock.GetElapsedTime(began), Machine.ProcessorTime(server.Pid) - used);
        var frames = heard.ToArray();
        await stop.CancelAsync();
        await Task.WhenAll(work).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var room in rooms)
        {
            await room.DisposeAsync();
        }

        Console.WriteLine($"participants       {Rooms * 2} in {Rooms} rooms, all speaking, for {elapsed.TotalSeconds:0} s");
        Console.WriteLine($"audible frames     {frames.Min()} to {frames.Max()} of {elapsed.TotalMilliseconds / 20:0} at each ear");
        Console.WriteLine($"server's processor {time / elapsed:0.0%} of one core   target: <= 10 %");
    }

    private static async Task SpeakAsync(RtcEngine engine, RtcRoom room, int who, CancellationToken ct)
    {
        using var source = engine.CreateAudioSource(new AudioSourceFormat(SampleRate));
        await room.LocalParticipant.PublishAudioAsync(source, new AudioPublishOptions { Name = "microphone" }, ct);
        var frame = new short[SampleRate / 50];
        for (long at = 0; !ct.IsCancellationRequested;)
        {
            for (var i = 0; i < frame.Length; i++, at++)
            {
                frame[i] = (short)(8000 * Math.Sin(at * (200 + (20 * who)) * 2 * Math.PI / SampleRate));
            }

            await source.CaptureAsync(frame, CancellationToken.None);
        }
    }

    private static async Task HearAsync(RtcRoom room, long[] heard, int who, CancellationToken ct)
    {
        await foreach (var e in room.ReadEventsAsync(ct))
        {
            if (e is not RoomEvent.TrackSubscribed subscribed)
            {
                continue;
            }

            using var stream = subscribed.Track.OpenAudio();
            var frame = new short[stream.Format.FrameLength];
            while (await stream.ReadAsync(frame, ct) > 0)
            {
                heard[who] += frame.Any(s => s > 1000) ? 1 : 0;
            }
        }
    }
}
