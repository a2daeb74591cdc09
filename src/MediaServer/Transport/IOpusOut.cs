namespace VoicePlatform.MediaServer.Transport;

/// <summary>Takes the Opus frames of one voice, one after the other. One thread at a time; must neither block nor throw.</summary>
internal interface IOpusOut
{
    /// <summary>The next frame.</summary>
    /// <param name="opus">At most 1,275 bytes.</param>
    /// <param name="samples">Duration at 48 kHz, 960 for 20 ms.</param>
    /// <param name="level">-dBov, 0 (loud) to 127 (silent).</param>
    void Send(ReadOnlySpan<byte> opus, uint samples, byte level);

    /// <summary>Passes over silence: the timestamp moves, nothing is sent.</summary>
    /// <param name="samples">Duration at 48 kHz.</param>
    void Skip(uint samples);
}
