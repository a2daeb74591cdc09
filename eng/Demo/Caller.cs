using System.Collections.Concurrent;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Demo;

/// <summary>Somebody with a microphone and a loudspeaker, in the room as a LiveKit client of its own.</summary>
internal sealed class Caller : IAsyncDisposable
{
    private const int FrameSamples = Tools.SampleRate / 50;

    private readonly RtcEngine _engine;
    private readonly RtcRoom _room;
    private readonly AudioSource _microphone;
    private readonly TimeProvider _clock;
    private readonly CancellationTokenSource _hungUp = new();
    private readonly Queue<short[]> _toSay = new();
    private readonly List<short> _heard = [];
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentBag<Task> _tasks = [];
    private TaskCompletionSource? _said;
    private long _lastSoundSaidAt;
    private long _firstSoundHeardAt;
    private bool _agentIsAudible;
    private int _quietFrames;

    private Caller(RtcEngine engine, RtcRoom room, TimeProvider clock)
    {
        (_engine, _room, _clock) = (engine, room, clock);
        _microphone = engine.CreateAudioSource(new AudioSourceFormat(Tools.SampleRate, 1, 100));
    }

    /// <summary>The room is over.</summary>
    public Task Left => _left.Task;

    /// <summary>The caller's last sound to the assistant's first, both at the caller; null before.</summary>
    public TimeSpan? ResponseTime => _firstSoundHeardAt > _lastSoundSaidAt && _lastSoundSaidAt > 0 ? _clock.GetElapsedTime(_lastSoundSaidAt, _firstSoundHeardAt) : null;

    public static async Task<Caller> JoinAsync(string url, string token, string library, string cache, Action<string, string, bool> transcript, TimeProvider clock, CancellationToken ct)
    {
        var engine = new RtcEngine(new RtcLibrary(library, cache), NullLoggerFactory.Instance, clock);
        var room = await engine.ConnectAsync(url, token, new RoomOptions(), ct);
        var caller = new Caller(engine, room, clock);
        room.HandleTextStreams("lk.transcription", async (stream, token2) =>
            transcript(stream.SenderIdentity, await stream.ReadAllAsync(100_000, token2), stream.Attributes.GetValueOrDefault("lk.transcription_final") == "true"));
        caller._tasks.Add(caller.WatchAsync(caller._hungUp.Token));
        await room.LocalParticipant.PublishAudioAsync(caller._microphone, new AudioPublishOptions { Name = "microphone" }, ct);
        caller._tasks.Add(caller.SpeakAsync(caller._hungUp.Token));
        return caller;
    }

    /// <summary>Says it into the microphone; returns when the last sound has gone out.</summary>
    public async Task SayAsync(short[] speech, CancellationToken ct)
    {
        var said = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            // What the voice adds as silence at the end is not "the last sound".
            var end = speech.Length;
            while (end > 0 && Math.Abs((int)speech[end - 1]) < 200)
            {
                end--;
            }

            _toSay.Enqueue(speech[..end]);
            _said = said;
            _firstSoundHeardAt = 0;
        }

        await said.Task.WaitAsync(ct);
    }

    /// <summary>Waits until the assistant has been heard and then been silent for a while.</summary>
    public async Task HearOutAsync(TimeSpan silence, CancellationToken ct)
    {
        while (!Left.IsCompleted)
        {
            lock (_lock)
            {
                if (_firstSoundHeardAt > 0 && _quietFrames * 20 >= silence.TotalMilliseconds)
                {
                    return;
                }
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), _clock, ct);
        }
    }

    /// <summary>Waits for the assistant's first sound since the caller last spoke.</summary>
    public async Task HearStartAsync(CancellationToken ct)
    {
        while (!Left.IsCompleted)
        {
            lock (_lock)
            {
                if (_firstSoundHeardAt > 0)
                {
                    return;
                }
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), _clock, ct);
        }
    }

    /// <summary>All that arrived since the last time this was asked.</summary>
    public short[] TakeHeard()
    {
        lock (_lock)
        {
            var heard = _heard.ToArray();
            _heard.Clear();
            return heard;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _hungUp.CancelAsync();
        await Task.WhenAll(_tasks).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _room.DisposeAsync();
        _microphone.Dispose();
        await _engine.DisposeAsync();
        _hungUp.Dispose();
    }

    private async Task SpeakAsync(CancellationToken ct)
    {
        var frame = new short[FrameSamples];
        var noise = new Random(1);
        short[]? saying = null;
        var at = 0;
        while (!ct.IsCancellationRequested)
        {
            lock (_lock)
            {
                if (saying is null && _toSay.TryDequeue(out saying))
                {
                    at = 0;
                }
            }

            // A room is never quite silent.
            for (var i = 0; i < frame.Length; i++)
            {
                frame[i] = (short)(noise.Next(-8, 9) + (saying is not null && at < saying.Length ? saying[at++] : 0));
            }

            await _microphone.CaptureAsync(frame, ct);
            if (saying is not null && at >= saying.Length)
            {
                saying = null;
                _lastSoundSaidAt = _clock.GetTimestamp() + (long)(_microphone.QueuedDuration.TotalSeconds * _clock.TimestampFrequency);
                _said?.TrySetResult();
            }
        }
    }

    private async Task WatchAsync(CancellationToken ct)
    {
        try
        {
            await foreach (var e in _room.ReadEventsAsync(ct))
            {
                if (e is RoomEvent.TrackSubscribed { Track: { IsAudio: true } track })
                {
                    _tasks.Add(HearAsync(track.OpenAudio(), ct));
                }
                else if (e is RoomEvent.Disconnected or RoomEvent.ParticipantDisconnected)
                {
                    _left.TrySetResult();
                }
            }
        }
        finally
        {
            _left.TrySetResult();
        }
    }

    private async Task HearAsync(RemoteAudioStream stream, CancellationToken ct)
    {
        using var _ = stream;
        var frame = new short[stream.Format.FrameLength];
        while (await stream.ReadAsync(frame, ct) > 0)
        {
            var loudest = 0;
            foreach (var sample in frame)
            {
                loudest = Math.Max(loudest, Math.Abs((int)sample));
            }

            lock (_lock)
            {
                _agentIsAudible = loudest > 300;
                _quietFrames = _agentIsAudible ? 0 : _quietFrames + 1;
                if (_agentIsAudible && _firstSoundHeardAt == 0)
                {
                    _firstSoundHeardAt = _clock.GetTimestamp();
                }

                _heard.AddRange(frame);
            }
        }
    }
}
