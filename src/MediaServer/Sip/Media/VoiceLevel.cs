namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>Loudness as the audio level extension has it (RFC 6464): -dBov.</summary>
internal static class VoiceLevel
{
    public const byte Silence = 127;

    /// <summary>0 is full scale, 127 silence.</summary>
    public static byte Of(ReadOnlySpan<short> pcm)
    {
        var sum = 0L;
        foreach (var sample in pcm)
        {
            sum += sample * sample;
        }

        return sum == 0 ? Silence : (byte)Math.Clamp(-10 * Math.Log10(sum / (pcm.Length * 1_073_741_824.0)), 0, Silence);
    }
}
