using VoicePlatform.MediaServer.Sip;

namespace VoicePlatform.Demo;

/// <summary>Somebody who has picked up the test phone: says things, and listens to the end of what is said.</summary>
internal sealed class PhoneCaller(TestPhoneCall call, TimeProvider clock)
{
    private const int Audible = 300;

    private static readonly TimeSpan Frame = TimeSpan.FromMilliseconds(20);

    private int _listenedTo;        // samples
    private int _taken;             // samples
    private long _lastSoundSaidAt;
    private long _firstSoundHeardAt;
    private TimeSpan _quiet;

    /// <summary>The other side has hung up.</summary>
    public Task Left => call.Ended;

    /// <summary>The caller's last sound to the assistant's first, both at the phone; null before.</summary>
    public TimeSpan? ResponseTime => _firstSoundHeardAt > _lastSoundSaidAt && _lastSoundSaidAt > 0 ? clock.GetElapsedTime(_lastSoundSaidAt, _firstSoundHeardAt) : null;

    /// <summary>Says it; returns when the last sound has gone out.</summary>
    public async Task SayAsync(short[] speech, CancellationToken ct)
    {
        // What the voice adds as silence at the end is not "the last sound".
        var end = speech.Length;
        while (end > 0 && Math.Abs((int)speech[end - 1]) < 200)
        {
            end--;
        }

        _firstSoundHeardAt = 0;
        _listenedTo += call.HeardSince(_listenedTo).Length;
        await call.SpeakAsync(speech.AsMemory(0, end), Tools.SampleRate, ct);
        _lastSoundSaidAt = clock.GetTimestamp();
    }

    /// <summary>Waits until the assistant has been heard and then been silent for a while.</summary>
    public async Task HearOutAsync(TimeSpan silence, CancellationToken ct)
    {
        _quiet = TimeSpan.Zero;
        while (!Left.IsCompleted && (_firstSoundHeardAt == 0 || _quiet < silence))
        {
            Listen();
            await Task.Delay(Frame, clock, ct);
        }
    }

    /// <summary>All that arrived since the last time this was asked.</summary>
    public short[] TakeHeard()
    {
        var heard = call.HeardSince(_taken);
        _taken += heard.Length;
        return heard;
    }

    private void Listen()
    {
        var heard = call.HeardSince(_listenedTo);
        _listenedTo += heard.Length;
        var last = Array.FindLastIndex(heard, sample => Math.Abs((int)sample) > Audible);
        if (last >= 0 && _firstSoundHeardAt == 0)
        {
            _firstSoundHeardAt = clock.GetTimestamp();
        }

        var quiet = TimeSpan.FromSeconds((double)(heard.Length - last - 1) / call.Rate);
        _quiet = last >= 0 ? quiet : _quiet + quiet;
    }
}
