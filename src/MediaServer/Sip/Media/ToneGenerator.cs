using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>Two sine waves, on and off in turn.</summary>
/// <param name="First">Hz; 0: nothing.</param>
/// <param name="Second">Hz; 0: nothing.</param>
/// <param name="OnMs">How long it sounds.</param>
/// <param name="OffMs">How long it is silent then; 0: never.</param>
/// <param name="Amplitude">Of each wave, of 32,767.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Tone(double First, double Second, int OnMs, int OffMs, int Amplitude)
{
    private const int Calling = 3_300;      // -20 dB each: audible, and not startling
    private const int Pressing = 8_200;     // -12 dB each: what detectors expect

    private static readonly double[] s_rows = [697, 770, 852, 941];
    private static readonly double[] s_columns = [1209, 1336, 1477, 1633];

    public static Tone Of(PhoneTone tone) => tone switch
    {
        PhoneTone.Ringback => new Tone(440, 480, 2_000, 4_000, Calling),
        PhoneTone.RingbackEtsi => new Tone(425, 0, 1_000, 4_000, Calling),
        PhoneTone.Dial => new Tone(350, 440, 1_000, 0, Calling),
        PhoneTone.Busy => new Tone(480, 620, 500, 500, Calling),
        _ => default,
    };

    /// <summary>The sound of a key (ITU-T Q.23), by its number in RFC 4733.</summary>
    public static Tone OfKey(byte number)
    {
        var (row, column) = number switch { 0 => (3, 1), <= 9 => ((number - 1) / 3, (number - 1) % 3), 10 => (3, 0), 11 => (3, 2), _ => (number - 12, 3) };
        return new Tone(s_rows[row], s_columns[column], 1_000, 0, Pressing);
    }
}

/// <summary>Adds a tone to a mix. One thread; allocates nothing.</summary>
internal sealed class ToneGenerator
{
    private Tone _tone;
    private long _at;       // samples since the tone began
    private int _rate;

    public void Add(in Tone tone, Span<int> mix, int rate)
    {
        if (tone != _tone || rate != _rate)
        {
            (_tone, _rate, _at) = (tone, rate, 0);
        }

        if (tone.Amplitude == 0)
        {
            return;
        }

        var (on, period) = (tone.OnMs * (rate / 1_000), (tone.OnMs + tone.OffMs) * (rate / 1_000));
        for (var i = 0; i < mix.Length; i++, _at++)
        {
            var at = _at % period;
            if (at < on || tone.OffMs == 0)
            {
                var angle = 2 * Math.PI * _at / rate;
                var first = Math.Sin(angle * tone.First);
                mix[i] += (int)(tone.Amplitude * (tone.Second == 0 ? first : first + Math.Sin(angle * tone.Second)));
            }
        }
    }
}
