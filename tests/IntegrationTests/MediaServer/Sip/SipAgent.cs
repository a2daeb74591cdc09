using System.Collections.Concurrent;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.IntegrationTests.MediaServer.Sip;

/// <summary>Our user agent on a free port; incoming calls go by their number: <c>busy</c>, <c>rings</c>, <c>password</c>, anything else answers.</summary>
internal sealed class SipAgent : IIncomingCalls, ICallObserver, IAsyncDisposable
{
    public const string Sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

    private readonly Func<IncomingCall, Task> _handler;

    public SipAgent(Func<IncomingCall, Task>? handler = null, TimeSpan? t1 = null)
    {
        _handler = handler ?? AnswerAsync;
        var first = t1 ?? TimeSpan.FromMilliseconds(50);
        Agent = new UserAgent(new UserAgentOptions { Port = 0, T1 = first, T2 = first * 4, T4 = first * 5, StopTimeout = TimeSpan.FromMilliseconds(500) }, this, TimeProvider.System, NullLoggerFactory.Instance);
        Agent.Start();
    }

    public UserAgent Agent { get; }

    public ConcurrentQueue<IncomingCall> Calls { get; } = new();

    public ConcurrentQueue<HangUp> HangUps { get; } = new();

    public ConcurrentQueue<int> Progress { get; } = new();

    public ConcurrentQueue<Exception> Failures { get; } = new();

    public OutgoingCall Call(SipUri target, Func<OutgoingInvite, OutgoingInvite>? with = null)
    {
        var invite = new OutgoingInvite { Target = target, FromUser = "+15550100", Offer = Sdp };
        return Agent.Invite(with is null ? invite : with(invite), this);
    }

    public async Task OnInviteAsync(IncomingCall call, CancellationToken ct)
    {
        Calls.Enqueue(call);
        try
        {
            await _handler(call);
        }
        catch (SipException e)
        {
            Failures.Enqueue(e);
        }
    }

    public async Task AnswerAsync(IncomingCall call)
    {
        call.Observer = this;
        call.Ring();
        await call.AnswerAsync(Sdp);
    }

    public void OnProgress(int status, string? sdp) => Progress.Enqueue(status);

    public string? OnReInvite(string? offer) => Sdp;

    public void OnHangUp(HangUp reason) => HangUps.Enqueue(reason);

    public void OnInfo(string contentType, string body)
    {
    }

    public ValueTask DisposeAsync() => Agent.DisposeAsync();
}
