using System.Collections.Concurrent;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.IntegrationTests.Seeds;

/// <summary>Somebody in a room with the token that a door gave: who else is there, what is heard, what the room shows as said.</summary>
internal sealed class Visitor : IAsyncDisposable
{
    private readonly RtcRoom _room;
    private readonly AudioSource _microphone;
    private readonly CancellationTokenSource _over = new();
    private readonly ConcurrentDictionary<string, string> _shown = new();
    private readonly ConcurrentBag<Task> _work = [];
    private int _audible;

    private Visitor(RtcRoom room, AudioSource microphone) => (_room, _microphone) = (room, microphone);

    /// <summary>Frames of 20 ms in which somebody was audible.</summary>
    public int AudibleFrames => Volatile.Read(ref _audible);

    public IReadOnlyCollection<string> Others => [.. _room.RemoteParticipants.Keys];

    /// <summary>"who: what", as the room's transcription has it.</summary>
    public IReadOnlyCollection<string> Shown => [.. _shown.Values];

    public Task Ended => _room.Ended;

    public static async Task<Visitor> JoinAsync(string url, string token)
    {
        var room = await Native.Engine.ConnectAsync(url, token, new RoomOptions(), default);
        var visitor = new Visitor(room, Native.Engine.CreateAudioSource(new AudioSourceFormat(16_000, 1, 40)));
        room.HandleTextStreams("lk.transcription", async (stream, ct) =>
            visitor._shown[$"{stream.SenderIdentity} {stream.Attributes["lk.segment_id"]}"] = $"{stream.SenderIdentity}: {await stream.ReadAllAsync(10_000, ct)}");
        await room.LocalParticipant.PublishAudioAsync(visitor._microphone, new AudioPublishOptions { Name = "microphone" }, default);
        visitor._work.Add(visitor.WatchAsync());
        visitor._work.Add(visitor.BreatheAsync());
        return visitor;
    }

    public Task WriteAsync(string text) => _room.LocalParticipant.SendTextAsync(text, new TextStreamOptions { Topic = "lk.chat" }, default);

    public async Task UntilAsync(Func<bool> condition, string what, double seconds = 30)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.That(TimeProvider.System.GetElapsedTime(began).TotalSeconds, Is.LessThan(seconds), () => $"{what}; there: {string.Join(", ", Others)}; shown: {string.Join(" | ", Shown)}");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await Task.WhenAll(_work).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _room.DisposeAsync();
        _microphone.Dispose();
        _over.Dispose();
    }

    private async Task WatchAsync()
    {
        await foreach (var e in _room.ReadEventsAsync(_over.Token))
        {
            if (e is RoomEvent.TrackSubscribed subscribed)
            {
                _work.Add(HearAsync(subscribed.Track));
            }
        }
    }

    private async Task HearAsync(RemoteTrack track)
    {
        using var stream = track.OpenAudio();
        var frame = new short[stream.Format.FrameLength];
        while (await stream.ReadAsync(frame, _over.Token) > 0)
        {
            if (frame.Any(s => Math.Abs((int)s) > 300))
            {
                Interlocked.Increment(ref _audible);
            }
        }
    }

    /// <summary>A microphone is never quite silent.</summary>
    private async Task BreatheAsync()
    {
        var (noise, frame) = (new Random(1), new short[320]);
        while (!_over.IsCancellationRequested)
        {
            for (var i = 0; i < frame.Length; i++)
            {
                frame[i] = (short)noise.Next(-8, 9);
            }

            await _microphone.CaptureAsync(frame, CancellationToken.None);
        }
    }
}
