namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>
/// Hears of one call. Its members are called one at a time, in the order of the messages, on the call's own queue: they may call the
/// call back and must not block.
/// </summary>
internal interface ICallObserver
{
    /// <summary>A provisional response over 100 to our INVITE.</summary>
    /// <param name="sdp">Early media's answer, where there is one.</param>
    void OnProgress(int status, string? sdp);

    /// <summary>The peer changes the session by re-INVITE or UPDATE.</summary>
    /// <param name="offer">Null: the peer wants our offer; its answer comes by <see cref="OnAnswer"/>.</param>
    /// <returns>The answer (or the offer asked for); null refuses with 488 and leaves the session as it was.</returns>
    string? OnReInvite(string? offer);

    /// <summary>The answer to an offer that went out in a 200, or in a session refresh when it changed.</summary>
    void OnAnswer(string sdp)
    {
    }

    /// <summary>Once, when the call ended otherwise than by our own <see cref="SipCall.HangUpAsync"/> or by never having been answered.</summary>
    void OnHangUp(HangUp reason);

    /// <summary>INFO in the call, such as <c>application/dtmf-relay</c>.</summary>
    void OnInfo(string contentType, string body);
}

/// <summary>Takes incoming calls.</summary>
internal interface IIncomingCalls
{
    /// <summary>
    /// Decides about one call: answers or rejects it before its task ends, on the thread pool. A task that ends without either refuses
    /// with 480, an exception with 500, as does a call that rings longer than <see cref="UserAgentOptions.AnswerTimeout"/>.
    /// </summary>
    /// <param name="call">The call.</param>
    /// <param name="ct">Cancelled when the caller gave up, when the time is over or the user agent stops.</param>
    Task OnInviteAsync(IncomingCall call, CancellationToken ct);
}
