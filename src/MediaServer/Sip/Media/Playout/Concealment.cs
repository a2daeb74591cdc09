namespace VoicePlatform.MediaServer.Sip.Media.Playout;

/// <summary>
/// Goes on with the last period of a voice where a codec cannot conceal by itself: 10 ms as it was, then fading out until 100 ms, and back
/// into the real sound over 5 ms (the idea of G.711 appendix I).
/// </summary>
internal sealed class Concealment
{
    public const int MaxMs = 100;

    private const int FadeFromMs = 10;
    private const int PastMs = 40;
    private readonly short[] _period = new short[48 * 13];
    private int _length;
    private int _at;        // samples since the last real one

    public bool IsActive => _length > 0;

    /// <param name="past">What was heard last.</param>
    public void Begin(ReadOnlySpan<short> past, int rate)
    {
        _length = TimeStretch.PeriodOfEnd(past[Math.Max(0, past.Length - (rate * PastMs / 1_000))..], rate);
        _at = 0;
        _period.AsSpan(0, _length).Clear();
        past[Math.Max(0, past.Length - _length)..].CopyTo(_period);
    }

    /// <summary>Makes up what follows.</summary>
    public void Continue(Span<short> pcm, int rate)
    {
        var (fadeFrom, fadeTo) = (rate * FadeFromMs / 1_000, rate * MaxMs / 1_000);
        for (var i = 0; i < pcm.Length; i++, _at++)
        {
            var gain = Math.Clamp(fadeTo - _at, 0, fadeTo - fadeFrom);
            pcm[i] = (short)(_period[_at % _length] * (long)gain / (fadeTo - fadeFrom));
        }
    }

    /// <summary>Ends it: fades into the real sound.</summary>
    public void Join(Span<short> pcm, int rate)
    {
        Span<short> made = stackalloc short[48 * 5];
        made = made[..Math.Min(pcm.Length, rate / 200)];
        Continue(made, rate);
        for (var i = 0; i < made.Length; i++)
        {
            pcm[i] = (short)(((made[i] * (made.Length - i)) + (pcm[i] * i)) / made.Length);
        }

        _length = 0;
    }

    /// <summary>Ends it where something else is heard.</summary>
    public void End() => _length = 0;
}
