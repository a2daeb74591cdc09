using VoicePlatform.Agent.Audio;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>Where the assistant's voice goes: a queue that plays in real time.</summary>
internal interface IAudioOut
{
    /// <summary>Queues a frame; waits while the queue is full.</summary>
    ValueTask PlayAsync(ReadOnlyMemory<short> frame, CancellationToken ct);

    /// <summary>Queued and not yet played.</summary>
    TimeSpan Queued { get; }

    /// <summary>What is queued is never heard.</summary>
    void Clear();
}

/// <summary>The assistant's track in a LiveKit room.</summary>
internal sealed class TrackOut(AudioSource source) : IAudioOut
{
    /// <summary>Enough to ride out a slow moment of this process; an interruption empties it.</summary>
    public static readonly AudioSourceFormat Format = new(Pcm.SampleRate, Channels: 1, QueueMs: 200);

    public TimeSpan Queued => source.QueuedDuration;

    public ValueTask PlayAsync(ReadOnlyMemory<short> frame, CancellationToken ct) => source.CaptureAsync(frame, ct);

    public void Clear() => source.Clear();
}
