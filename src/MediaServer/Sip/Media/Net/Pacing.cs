using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Sip.Media.Net;

/// <summary>Sleeps until a point of the system's monotonic clock, the one that <see cref="System.Diagnostics.Stopwatch"/> reads on Linux.</summary>
internal static unsafe partial class Pacing
{
    private const int Monotonic = 1;
    private const int Absolute = 1;
    private const int OfProcess = 0;
    private const int Nice = -11;
    private const long NsPerSecond = 1_000_000_000;

    /// <param name="ns">Nanoseconds of the monotonic clock.</param>
    public static void SleepUntil(long ns)
    {
        var (seconds, rest) = Math.DivRem(ns, NsPerSecond);
        var until = stackalloc long[2] { seconds, rest };
        while (clock_nanosleep(Monotonic, Absolute, until, null) == Interrupted)
        {
            // A signal came: the time is the same.
        }
    }

    /// <summary>Puts the calling thread before others where the system allows it (root, CAP_SYS_NICE); elsewhere it stays as it is.</summary>
    public static void Prefer() => _ = setpriority(OfProcess, 0, Nice);       // of a thread, on Linux: 0 is the caller

    private const int Interrupted = 4;

    [LibraryImport("libc.so.6")]
    private static partial int clock_nanosleep(int clock, int flags, long* until, long* rest);

    [LibraryImport("libc.so.6")]
    private static partial int setpriority(int which, uint who, int priority);
}
