namespace VoicePlatform.MediaServer.Rooms;

/// <summary>
/// Smooths the audio levels of a participant's tracks into "is speaking". A participant is a speaker from
/// <see cref="ActiveThreshold"/> on; levels are told in eighths, so that small changes are not news.
/// </summary>
internal sealed class SpeakerLevel
{
    /// <summary>Linear level of -35 dBov.</summary>
    public static readonly double ActiveThreshold = Math.Pow(10, -35.0 / 20);

    // An average over about two intervals.
    private const double Smoothing = 2.0 / 3;

    private const int SilentIntervals = 2;

    private const double Steps = 8;

    private double _smoothed;
    private int _silent;

    /// <summary>As others were last told: 0 to 1 in eighths; 0: silent.</summary>
    public float Told { get; set; }

    /// <summary>Takes the level of the last interval (linear, 0 to 1) and returns what should be told.</summary>
    public float Update(double level)
    {
        _smoothed += (level - _smoothed) * Smoothing;
        _silent = level < ActiveThreshold ? _silent + 1 : 0;
        if (_silent >= SilentIntervals || (_silent > 0 && Told == 0))
        {
            return 0;
        }

        return (float)(Math.Ceiling(Math.Clamp(_smoothed, 0, 1) * Steps) / Steps);
    }
}
