namespace VoicePlatform.Agent.Audio;

/// <summary>Finds where a voice begins and ends in its audio.</summary>
internal static class Silence
{
    /// <summary>A voice's own hiss stays below this, its softest consonant above: -47 dB of full scale.</summary>
    private const int Audible = 150;

    /// <summary>
    /// The audio from shortly before its first audible sample to shortly after its last. Audio without an audible sample is empty; silence is
    /// only taken away, never added.
    /// </summary>
    /// <param name="lead">Kept in front of the first sound, so that its onset is whole.</param>
    /// <param name="tail">Kept behind the last: the pause before the next sentence.</param>
    public static ReadOnlySpan<short> Trim(ReadOnlySpan<short> audio, TimeSpan lead, TimeSpan tail)
    {
        var first = 0;
        while (first < audio.Length && Math.Abs((int)audio[first]) < Audible)
        {
            first++;
        }

        if (first == audio.Length)
        {
            return [];
        }

        var last = audio.Length - 1;
        while (Math.Abs((int)audio[last]) < Audible)
        {
            last--;
        }

        var from = Math.Max(0, first - Pcm.SamplesIn(lead));
        return audio[from..Math.Min(audio.Length, last + 1 + Pcm.SamplesIn(tail))];
    }
}
