#pragma warning disable MA0025 // the surface comes first, the rest of this branch fills it in
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>The audio of one telephone call.</summary>
internal sealed class PhoneSession : IDisposable
{
    /// <summary>Whether the other side has put us on hold.</summary>
    public bool IsOnHold => throw new NotImplementedException();

    /// <summary>What we send: <c>opus</c>, <c>G722</c>, <c>PCMU</c> or <c>PCMA</c>; empty before an answer.</summary>
    public string Codec => throw new NotImplementedException();

    public bool IsEncrypted => throw new NotImplementedException();

    public PhoneStatistics Statistics => throw new NotImplementedException();

    /// <summary>The offer of our INVITE.</summary>
    public string CreateOffer() => throw new NotImplementedException();

    /// <summary>Takes the answer to our offer; may be called again for the same offer, with the answers of several provisional responses.</summary>
    /// <param name="sdp">The session description.</param>
    /// <param name="isEarly">The call is not answered yet (183): nothing sent for long is no fault, until <see cref="Answered"/>.</param>
    /// <exception cref="MediaRefusedException">It cannot be accepted; what was agreed before stays.</exception>
    public void AcceptAnswer(string sdp, bool isEarly = false) => throw new NotImplementedException();

    /// <summary>The answer to the first or a later offer of the other side.</summary>
    /// <inheritdoc cref="AcceptAnswer"/>
    public string CreateAnswer(string offer, bool isEarly = false) => throw new NotImplementedException();

    /// <summary>The offer of our re-INVITE, to put the other side on hold or to take it back.</summary>
    public string CreateReOffer(bool hold) => throw new NotImplementedException();

    /// <summary>The call is answered: from now on audio is expected. Only needed after early media.</summary>
    public void Answered() => throw new NotImplementedException();

    /// <summary>The phone's voice goes there from now on; null ends it.</summary>
    public void Connect(IOpusOut? room) => throw new NotImplementedException();

    /// <summary>A track of the room that the phone hears. Its frames go into the result; a track that is there already is replaced.</summary>
    public IAudioSink AddTrack(string trackSid) => throw new NotImplementedException();

    public void RemoveTrack(string trackSid) => throw new NotImplementedException();

    /// <summary>Presses keys (RFC 4733, or as tones where the other side cannot take events).</summary>
    /// <param name="digits">0-9, *, #, A-D, and <c>w</c> to wait half a second; at most 256.</param>
    /// <returns>Completes when the last was sent.</returns>
    /// <exception cref="ArgumentException">Names what cannot be sent.</exception>
    public Task SendDtmfAsync(string digits, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Plays a tone to the phone, mixed with everything else, until another or <see cref="PhoneTone.None"/>.</summary>
    public void Play(PhoneTone tone) => throw new NotImplementedException();

    /// <summary>Plays a tone to the room as if it came from the phone, also before there is any answer.</summary>
    public void PlayToRoom(PhoneTone tone) => throw new NotImplementedException();

    /// <summary>The phone's voice as PCM, beside the room; null ends it.</summary>
    public void Listen(IPcmSink? sink) => throw new NotImplementedException();

    /// <summary>Queues sound for the phone, behind what is queued already.</summary>
    /// <param name="pcm">Mono.</param>
    /// <param name="rate">8,000, 16,000, 24,000 or 48,000 Hz.</param>
    /// <returns>How many samples were taken: fewer than given when 60 s are queued.</returns>
    public int Write(ReadOnlySpan<short> pcm, int rate) => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
