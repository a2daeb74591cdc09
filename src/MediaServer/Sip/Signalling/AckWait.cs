namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>A 2xx of ours to an INVITE, sent again until its ACK has come, over any transport (RFC 3261, 13.3.1.4). On the call's queue.</summary>
internal sealed class AckWait
{
    private readonly ServerTransaction _transaction;
    private readonly TimeSpan _longest;
    private readonly QueueTimer _resend;
    private readonly QueueTimer _limit;
    private TimeSpan _pause;

    public AckWait(SipStack stack, ServerTransaction transaction, Action<SipRequest> acknowledged, Action missing)
    {
        _transaction = transaction;
        Acknowledged = acknowledged;
        (_pause, _longest) = (stack.Options.T1, stack.Options.T2);
        _resend = stack.NewTimer(transaction.Queue, Resend);
        _limit = stack.NewTimer(transaction.Queue, () =>
        {
            Stop();
            missing();
        });
        _resend.Start(_pause);
        _limit.Start(stack.Patience);
    }

    public bool IsOver { get; private set; }

    public Action<SipRequest> Acknowledged { get; }

    public bool Fits(SipRequest ack) => ack.CSeq.Number == _transaction.Request.CSeq.Number;

    public void Stop()
    {
        IsOver = true;
        _resend.Stop();
        _limit.Stop();
    }

    private void Resend()
    {
        _transaction.Repeat();
        _pause = _pause * 2 > _longest ? _longest : _pause * 2;
        _resend.Start(_pause);
    }
}
