using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Signalling;
using Room = VoicePlatform.MediaServer.Rooms.Room;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>
/// A telephone that rings us. It hears ringing until somebody in its room can be heard; a room that ends before that makes it hear
/// busy.
/// </summary>
internal sealed partial class InboundLeg(InboundRoute route, IncomingCall call, TimeProvider clock, ILogger log)
    : PhoneLeg(route.CallId, route.Identity, clock, log)
{
    private static readonly TimeSpan DefaultRinging = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan PinPatience = TimeSpan.FromSeconds(20);
    private const int MaxPin = 32;
    private const int PinTries = 3;

    private readonly System.Threading.Channels.Channel<char> _digits = System.Threading.Channels.Channel.CreateBounded<char>(
        new System.Threading.Channels.BoundedChannelOptions(MaxPin) { FullMode = System.Threading.Channels.BoundedChannelFullMode.DropOldest });
    private readonly TaskCompletionSource _decided = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isAnswered;
    private int _isRejected;

    /// <summary>The call was answered or refused.</summary>
    public Task Decided => _decided.Task;

    protected override SipCall Call => call;

    /// <summary>Rings, routes, bridges, and returns when all is over. Never fails.</summary>
    public async Task RunAsync(PhoneMedia phones, Func<InboundRoute, SIPDispatchRuleInfo, Room> enter)
    {
        var end = new LegEnd(DisconnectReason.SipTrunkFailure, ByTelephone: false, "");
        call.Observer = this;
        try
        {
            await using var gone = call.Ended.Register(() => End(new LegEnd(DisconnectReason.ClientInitiated, ByTelephone: true, "The caller hung up.")));
            Media = phones.Open(route.Media, this);
            var sdp = call.Offer is { } offer ? Media.CreateAnswer(offer) : Media.CreateOffer();
            call.Ring();
            var rule = route.Rules[0];
            if (SipDirectory.PinOf(rule).Length > 0)
            {
                await AnswerAsync(sdp);
                if (await AskPinAsync() is not { } chosen)
                {
                    end = new LegEnd(DisconnectReason.UserRejected, ByTelephone: false, "No PIN was right.");
                    End(end);
                    await CloseAsync(end);
                    return;
                }

                rule = chosen;
            }

            end = await BridgeAsync(enter(route, rule), rule, sdp);
        }
        catch (PhoneMediaException e)
        {
            LogBusy(Log, CallId, e.Message);
            Reject(503, "Service Unavailable", [("Retry-After", "5")]);
        }
        catch (MediaRefusedException e)
        {
            Reject(488, "Not Acceptable Here", [("Warning", $"304 voiceplatform \"{e.Message.Replace('"', '\'')}\"")]);
        }
        catch (SipException e)
        {
            end = new LegEnd(DisconnectReason.SipTrunkFailure, ByTelephone: true, e.Message);
            LogBusy(Log, CallId, e.Message);
        }
        catch (RoomClosedException)
        {
            end = new LegEnd(DisconnectReason.RoomClosed, ByTelephone: false, "The room ended.");
        }
        catch (Exception e)
        {
            LogFault(Log, e, CallId);
            Reject(500, "Server Internal Error", []);
        }

        End(end);
        await CloseAsync(await Ended);
    }

    protected override void OnDigit(char digit) => _digits.Writer.TryWrite(digit);

    protected override async Task HangUpAsync()
    {
        if (_isAnswered)
        {
            await call.HangUpAsync();
        }
        else
        {
            // Whoever took the room away did not want this call now: to the caller that is busy.
            Reject(486, "Busy Here", []);
        }

        _decided.TrySetResult();
    }

    private void Reject(int status, string reason, IReadOnlyList<(string Name, string Value)> headers)
    {
        // In this order: when the decision is told before it is made, the user agent makes one of its own.
        if (!_isAnswered && Interlocked.Exchange(ref _isRejected, 1) == 0)
        {
            call.Reject(status, reason, headers);
            _decided.TrySetResult();
        }
    }

    private async Task<LegEnd> BridgeAsync(Room room, SIPDispatchRuleInfo rule, string sdp)
    {
        var attributes = new Dictionary<string, string>(route.Attributes, StringComparer.Ordinal)
        {
            [SipAttributes.RuleId] = rule.SipDispatchRuleId,
            [SipAttributes.CallStatus] = _isAnswered ? SipCallStatusName.Active : SipCallStatusName.Ringing,
        };
        foreach (var (key, value) in rule.Attributes)
        {
            attributes[key] = value;
        }

        await JoinAsync(room, route.Name, rule.Metadata, attributes, CancellationToken.None);
        var voice = await Participant.PublishAsync(Identity, CancellationToken.None);
        await Participant.ListenAsync(CancellationToken.None);
        if (!_isAnswered)
        {
            using var patience = new CancellationTokenSource(route.RingingTimeout ?? DefaultRinging, Clock);
            await ((Task)Task.WhenAny(HeardSomebody, Ended)).WaitAsync(patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (HasEnded)
            {
                return await Ended;
            }

            if (!HeardSomebody.IsCompleted)
            {
                Reject(480, "Temporarily Unavailable", []);
                return new LegEnd(DisconnectReason.UserUnavailable, ByTelephone: false, "Nobody came to answer.");
            }

            // Connected before it is answered: the caller's first word is heard.
            Media.Connect(voice);
            await AnswerAsync(sdp);
        }

        Media.Connect(voice);
        await TellAsync((SipAttributes.CallStatus, SipCallStatusName.Active));
        return await AwaitEndAsync(route.MaxDuration);
    }

    private async Task AnswerAsync(string sdp)
    {
        _isAnswered = true;
        var answering = call.AnswerAsync(sdp, route.AnswerHeaders);
        _decided.TrySetResult();
        var answer = await answering;
        if (call.Offer is null && answer is { } late)
        {
            Media.AcceptAnswer(late);
        }
    }

    /// <summary>Which of the rules the caller may enter by; null when no PIN was right in time.</summary>
    private async Task<SIPDispatchRuleInfo?> AskPinAsync()
    {
        for (var i = 0; i < PinTries; i++)
        {
            Media.Play(PhoneTone.Dial);     // Something to hear: digits are expected, and '#' after them.
            var pin = await ReadPinAsync();
            Media.Play(PhoneTone.None);
            if (pin is null)
            {
                return null;
            }

            var typed = System.Text.Encoding.ASCII.GetBytes(pin);
            if (route.Rules.FirstOrDefault(rule => CryptographicOperations.FixedTimeEquals(typed, System.Text.Encoding.ASCII.GetBytes(SipDirectory.PinOf(rule)))) is { } rule)
            {
                return rule;
            }
        }

        return null;
    }

    private async Task<string?> ReadPinAsync()
    {
        var pin = new System.Text.StringBuilder();
        using var patience = new CancellationTokenSource(PinPatience, Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, call.Ended);
        try
        {
            while (pin.Length < MaxPin)
            {
                var digit = await _digits.Reader.ReadAsync(either.Token);
                if (digit == '#')
                {
                    return pin.ToString();
                }

                Media.Play(PhoneTone.None);
                pin.Append(digit);
            }
        }
        catch (OperationCanceledException)
        {
            // Too slow, or gone.
        }

        return null;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Call {CallId} was refused: {Reason}")]
    private static partial void LogBusy(ILogger log, string callId, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Call {CallId} failed")]
    private static partial void LogFault(ILogger log, Exception exception, string callId);
}
