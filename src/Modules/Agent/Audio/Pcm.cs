namespace VoicePlatform.Agent.Audio;

/// <summary>The one form of audio inside the agent: 16-bit mono at 16 kHz, in frames of 20 ms.</summary>
internal static class Pcm
{
    public const int SampleRate = 16_000;
    public const int FrameMs = 20;
    public const int FrameSamples = SampleRate * FrameMs / 1000;

    public static TimeSpan DurationOf(long samples) => TimeSpan.FromTicks(samples * TimeSpan.TicksPerSecond / SampleRate);

    public static int SamplesIn(TimeSpan duration) => (int)(duration.Ticks * SampleRate / TimeSpan.TicksPerSecond);

    /// <summary>Level in dB below full scale: 0 is the loudest, -96 silence.</summary>
    public static double Decibels(ReadOnlySpan<short> frame)
    {
        long sum = 0;
        foreach (var sample in frame)
        {
            sum += sample * sample;
        }

        return sum == 0 ? -96 : Math.Max(-96, 10 * Math.Log10(sum / (double)frame.Length / (32768.0 * 32768.0)));
    }
}
