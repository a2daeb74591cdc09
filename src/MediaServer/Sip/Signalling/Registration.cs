using System.Globalization;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>Keeps one address registered at a registrar (RFC 3261, 10.2) until it is disposed. On a queue of its own.</summary>
internal sealed class Registration : IAsyncDisposable
{
    private const int MaxBackOff = 16;

    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);      // a registrar that forgot us is found in that time; no timer takes 50 days

    private readonly SipStack _stack;
    private readonly RegistrationOptions _options;
    private readonly Action<Registration> _onGone;
    private readonly SerialQueue _queue;
    private readonly QueueTimer _next;
    private readonly string _callId = SipIds.CallId();
    private readonly string _tag = SipIds.Tag();
    private readonly TaskCompletionSource<RegistrationState> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TimeSpan _expires;
    private uint _sequence = SipIds.CSeq();
    private int _failures;
    private bool _isLeaving;
    private Flow? _held;
    private volatile RegistrationState _state;
    private volatile string? _lastError;

    internal Registration(SipStack stack, RegistrationOptions options, Action<Registration> onGone)
    {
        (_stack, _options, _onGone, _expires) = (stack, options, onGone, options.Expires);
        _queue = stack.NewQueue();
        _queue.OnFault = () => OnFailed(UnreachableKind.Local, "The SIP user agent had a fault.");
        _next = stack.NewTimer(_queue, () => Send(_expires));
    }

    public RegistrationState State => _state;

    /// <summary>One sentence on the last failure; null when the last attempt went well.</summary>
    public string? LastError => _lastError;

    /// <summary>Completes with the registrar's first answer or failure.</summary>
    public Task<RegistrationState> FirstAttempt => _first.Task;

    /// <summary>Removes the registration; completes with the registrar's answer, at most after 32 s.</summary>
    public ValueTask DisposeAsync()
    {
        _queue.Post(Leave);
        return new ValueTask(_gone.Task);
    }

    internal void Start() => _queue.Post(() => Send(_expires));

    private void Leave()
    {
        if (_isLeaving)
        {
            return;
        }

        _isLeaving = true;
        _next.Stop();
        if (_state == RegistrationState.Registered)
        {
            Send(TimeSpan.Zero);
        }
        else
        {
            Gone();
        }
    }

    private void Gone()
    {
        _state = RegistrationState.Unregistered;
        _held?.Release();
        _held = null;
        _first.TrySetResult(_state);
        _onGone(this);
        _gone.TrySetResult();
    }

    private void Send(TimeSpan expires)
    {
        Exchange? exchange = null;
        exchange = new Exchange(
            _stack,
            _queue,
            new Route(_options.Registrar, _options.Transport, _held),
            flow => Build(flow, expires),
            new DigestClient(_options.AuthUsername ?? _options.User, _options.AuthPassword),
            response => OnResponse(response, exchange!, expires),
            OnFailed);
        exchange.Start();
    }

    private SipRequest Build(Flow flow, TimeSpan expires)
    {
        var address = new SipUri { Scheme = _options.Registrar.Scheme, User = _options.User, Host = _options.Domain ?? _options.Registrar.Host };
        var headers = new SipHeaders();
        headers.Add("Max-Forwards", "70");
        headers.Add("From", new NameAddress(address).WithTag(_tag).ToString());
        headers.Add("To", new NameAddress(address).ToString());
        headers.Add("Call-ID", _callId);
        headers.Add("CSeq", new CSeq(++_sequence, "REGISTER").ToString());
        headers.Add("Contact", _stack.ContactOn(flow, _options.User));
        headers.Add("Expires", ((long)expires.TotalSeconds).ToString());
        headers.Add("User-Agent", _stack.Options.Product);
        headers.Add("Allow", SipStack.Allow);
        return new SipRequest("REGISTER", (_options.Registrar with { User = "" }).ToString()) { Headers = headers };
    }

    private void OnResponse(SipResponse response, Exchange exchange, TimeSpan asked)
    {
        if (response.IsProvisional)
        {
            return;
        }

        if (asked == TimeSpan.Zero)
        {
            Gone();
        }
        else if (response.IsSuccess)
        {
            OnRegistered(response, exchange.Flow!);
        }
        else if (response.Status == 423 && int.TryParse(response.Headers["Min-Expires"], NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && TimeSpan.FromSeconds(seconds) > asked)
        {
            _expires = TimeSpan.FromSeconds(seconds);
            Send(_expires);
        }
        else
        {
            OnFailed(UnreachableKind.Protocol, $"The registrar answered {response.Status} {response.Reason}.");
        }
    }

    private void OnRegistered(SipResponse response, Flow flow)
    {
        _failures = 0;
        _lastError = null;
        _state = RegistrationState.Registered;
        if (_held != flow)
        {
            _held?.Release();
            _held = flow;
            flow.Hold();        // calls for us come by it
        }

        _first.TrySetResult(_state);
        if (_isLeaving)
        {
            Send(TimeSpan.Zero);
            return;
        }

        // In good time before its end, that two attempts fit in.
        var granted = Granted(response, flow);
        var pause = granted > TimeSpan.FromMinutes(4) ? granted - TimeSpan.FromMinutes(1) : granted * 0.6;
        _next.Start(pause > Shortest ? pause : Shortest);
    }

    /// <summary>What the registrar grants our contact; it may list others'.</summary>
    private TimeSpan Granted(SipResponse response, Flow flow)
    {
        var (host, port) = _stack.Network.SelfOn(flow);
        foreach (var value in response.Headers.Values("Contact"))
        {
            if (NameAddress.TryParse(value, out var contact)
                && contact.Uri.User == _options.User
                && contact.Uri.Host.Equals(host, StringComparison.OrdinalIgnoreCase)
                && contact.Uri.Port == port
                && Seconds(HeaderText.Parameters(contact.Parameters).GetValueOrDefault("expires")) is { } own)
            {
                return own;
            }
        }

        return Seconds(response.Headers["Expires"]) ?? (_expires < Longest ? _expires : Longest);
    }

    private void OnFailed(UnreachableKind kind, string message)
    {
        if (_isLeaving)
        {
            Gone();
            return;
        }

        _state = RegistrationState.Failed;
        _lastError = message;
        _first.TrySetResult(_state);
        _next.Start(_options.RetryAfter * Math.Min(MaxBackOff, 1 << Math.Min(_failures++, 4)));
    }

    private static TimeSpan? Seconds(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds > 0 ? TimeSpan.FromSeconds(Math.Min(seconds, Longest.TotalSeconds)) : null;
}
