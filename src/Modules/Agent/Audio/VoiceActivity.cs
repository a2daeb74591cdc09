namespace VoicePlatform.Agent.Audio;

internal enum Activity { Silence, Started, Speech, Stopped }

/// <summary>
/// Tells speech from silence, frame by frame: louder than the room by a margin, for long enough. The room's level follows the
/// quietest frames quickly and louder ones slowly, so that steady noise becomes the room and a pause in speech does not.
/// </summary>
internal sealed class VoiceActivity
{
    /// <summary>Silence after which speech counts as stopped: pauses between words are shorter.</summary>
    public static readonly TimeSpan StopAfter = TimeSpan.FromMilliseconds(300);

    private const double MarginDb = 10;
    private const double QuietestSpeechDb = -48;
    private const double LoudestRoomDb = -30;
    private const double RoomRisePerFrameDb = 0.04;         // 2 dB a second
    private const int FramesToStart = 3;                    // of the last four: 60 ms are no click
    private const int Window = 4;

    private static readonly int FramesToStop = (int)(StopAfter.TotalMilliseconds / Pcm.FrameMs);

    private double _room = -60;
    private int _recent;
    private int _silentFrames;

    public bool IsSpeech { get; private set; }

    /// <summary>Frames since the last loud one.</summary>
    public int SilentFrames => _silentFrames;

    public Activity Next(ReadOnlySpan<short> frame)
    {
        var level = Pcm.Decibels(frame);
        _room = level < _room ? Math.Max(level, -80) : Math.Min(_room + RoomRisePerFrameDb, LoudestRoomDb);
        var loud = level > Math.Max(_room + MarginDb, QuietestSpeechDb);
        _recent = ((_recent << 1) | (loud ? 1 : 0)) & ((1 << Window) - 1);
        _silentFrames = loud ? 0 : _silentFrames + 1;

        if (!IsSpeech && System.Numerics.BitOperations.PopCount((uint)_recent) >= FramesToStart)
        {
            IsSpeech = true;
            return Activity.Started;
        }

        if (IsSpeech && _silentFrames >= FramesToStop)
        {
            IsSpeech = false;
            return Activity.Stopped;
        }

        return IsSpeech ? Activity.Speech : Activity.Silence;
    }
}
