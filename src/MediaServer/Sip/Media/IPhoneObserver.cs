namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>
/// Learns what happens to one call's audio. Called on the media threads, outside of all locks: must not block, and may dispose the
/// session.
/// </summary>
internal interface IPhoneObserver
{
    /// <summary>A key was pressed and let go: once per press, when it ends.</summary>
    /// <param name="digit">0-9, *, # or A-D.</param>
    /// <param name="durationMs">How long it was held.</param>
    void OnDtmf(char digit, int durationMs);

    /// <summary>Nothing came for <see cref="PhoneSessionOptions.MediaTimeout"/>. Once, until something comes again.</summary>
    void OnMediaTimeout();

    /// <summary>The first audio packet of the call has come.</summary>
    void OnFirstAudio();
}

/// <summary>Hears the phone as PCM. Called on the pacing thread every 20 ms: must neither block nor throw.</summary>
internal interface IPcmSink
{
    /// <param name="pcm">20 ms, mono; valid during the call only. Silence where nothing came.</param>
    /// <param name="rate">8,000, 16,000 or 48,000 Hz.</param>
    void OnPcm(ReadOnlySpan<short> pcm, int rate);
}

/// <summary>The other side's session description cannot be accepted: the SIP answer is 488. The message is a sentence that says why.</summary>
internal sealed class MediaRefusedException(string message) : Exception(message);

/// <summary>Telephone audio cannot start, or no port is free. The message is a sentence that says what to do.</summary>
internal sealed class PhoneMediaException(string message, Exception? inner = null) : Exception(message, inner);
