using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>What all calls of a user agent share. Its tables are the only state that more than one queue or thread touches.</summary>
internal sealed class SipStack
{
    /// <summary>Methods we answer with more than 405.</summary>
    public const string Allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, REFER, NOTIFY";

    private readonly byte[] _tagKey = RandomNumberGenerator.GetBytes(32);

    public SipStack(UserAgentOptions options, IMessageSink sink, TimeProvider clock, ILogger log)
    {
        (Options, Clock, Log) = (options, clock, log);
        Network = new Network(options, sink, Counters, clock, log);
        Digest = new DigestVerifier(clock, options.ChallengesWithSha256);
    }

    public UserAgentOptions Options { get; }

    public TimeProvider Clock { get; }

    public ILogger Log { get; }

    public UserAgentCounters Counters { get; } = new();

    public Network Network { get; }

    public DigestVerifier Digest { get; }

    /// <summary>By branch and method.</summary>
    public ConcurrentDictionary<string, ClientTransaction> Clients { get; } = new();

    /// <summary>By <see cref="ServerTransaction.KeyOf"/>.</summary>
    public ConcurrentDictionary<string, ServerTransaction> Servers { get; } = new();

    /// <summary>By Call-ID and our tag.</summary>
    public ConcurrentDictionary<(string CallId, string Tag), SipCall> Calls { get; } = new();

    /// <summary>64 × T1: how long anything is waited for.</summary>
    public TimeSpan Patience => 64 * Options.T1;

    public bool IsStopping { get; set; }

    /// <summary>Our tag in an answer without state: the same for every copy of the request, and nobody's guess.</summary>
    public string TagFor(SipRequest request) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(_tagKey, Encoding.UTF8.GetBytes($"{request.CallId} {request.From?.Tag} {request.TopVia?.Branch}")).AsSpan(0, 8));

    public SerialQueue NewQueue() => new(Log, Counters);

    public QueueTimer NewTimer(SerialQueue queue, Action elapsed) => new(queue, Clock, elapsed);

    /// <summary><c>&lt;sip:user@host:port&gt;</c> of ours, as the peer of a flow reaches it.</summary>
    public string ContactOn(Flow flow, string user)
    {
        var (host, port) = Network.SelfOn(flow);
        var transport = flow.Transport switch
        {
            SipTransport.Tcp => "transport=tcp",
            SipTransport.Tls => "transport=tls",
            _ => "",
        };
        return $"<{new SipUri { User = user, Host = host, Port = port, Parameters = transport }}>";
    }
}
