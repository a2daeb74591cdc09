using System.Collections.Concurrent;
using System.Net;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>
/// Trunks and dispatch rules. Kept in memory: whoever uses this server brings them at every start. Messages in here are never
/// changed, only replaced; what is handed out must not be changed either.
/// </summary>
internal sealed class SipDirectory
{
    private readonly ConcurrentDictionary<string, SIPInboundTrunkInfo> _inbound = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, SIPOutboundTrunkInfo> _outbound = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, SIPDispatchRuleInfo> _rules = new(StringComparer.Ordinal);
    private readonly Lock _changing = new();      // guards "look for conflicts, then store"

    /// <summary>Called after outbound trunks changed.</summary>
    public Action? OutboundChanged { get; set; }

    public IEnumerable<SIPInboundTrunkInfo> Inbound => _inbound.Values.OrderBy(trunk => trunk.SipTrunkId, StringComparer.Ordinal);

    public IEnumerable<SIPOutboundTrunkInfo> Outbound => _outbound.Values.OrderBy(trunk => trunk.SipTrunkId, StringComparer.Ordinal);

    public IEnumerable<SIPDispatchRuleInfo> Rules => _rules.Values.OrderBy(rule => rule.SipDispatchRuleId, StringComparer.Ordinal);

    public SIPInboundTrunkInfo? FindInbound(string id) => _inbound.GetValueOrDefault(id);

    public SIPOutboundTrunkInfo? FindOutbound(string id) => _outbound.GetValueOrDefault(id);

    public SIPDispatchRuleInfo? FindRule(string id) => _rules.GetValueOrDefault(id);

    /// <summary>Stores a trunk, new when it has no id yet. Null, or in one sentence what stands against it.</summary>
    public string? Put(SIPInboundTrunkInfo trunk)
    {
        lock (_changing)
        {
            var rival = _inbound.Values.FirstOrDefault(other => other.SipTrunkId != trunk.SipTrunkId && Overlap(other, trunk));
            if (rival is not null)
            {
                return $"conflicting inbound SIP trunks: \"{trunk.Name}\" and \"{rival.Name}\" ({rival.SipTrunkId}) would take the same calls";
            }

            trunk.SipTrunkId = trunk.SipTrunkId.Length > 0 ? trunk.SipTrunkId : Sid.Trunk();
            _inbound[trunk.SipTrunkId] = trunk;
            return null;
        }
    }

    public void Put(SIPOutboundTrunkInfo trunk)
    {
        trunk.SipTrunkId = trunk.SipTrunkId.Length > 0 ? trunk.SipTrunkId : Sid.Trunk();
        _outbound[trunk.SipTrunkId] = trunk;
        OutboundChanged?.Invoke();
    }

    /// <inheritdoc cref="Put(SIPInboundTrunkInfo)"/>
    public string? Put(SIPDispatchRuleInfo rule)
    {
        lock (_changing)
        {
            var rival = _rules.Values.FirstOrDefault(other => other.SipDispatchRuleId != rule.SipDispatchRuleId
                && PinOf(other) == PinOf(rule)
                && Meet(other.TrunkIds, rule.TrunkIds)
                && Meet(other.InboundNumbers, rule.InboundNumbers)
                && Meet(other.Numbers, rule.Numbers));
            if (rival is not null)
            {
                return $"conflicting SIP dispatch rules: same trunk, number and PIN for \"{rule.Name}\" and \"{rival.Name}\" ({rival.SipDispatchRuleId})";
            }

            rule.SipDispatchRuleId = rule.SipDispatchRuleId.Length > 0 ? rule.SipDispatchRuleId : Sid.DispatchRule();
            _rules[rule.SipDispatchRuleId] = rule;
            return null;
        }
    }

    /// <summary>Deletes a trunk of either direction.</summary>
    public bool DeleteTrunk(string id)
    {
        if (_inbound.TryRemove(id, out _))
        {
            return true;
        }

        var removed = _outbound.TryRemove(id, out _);
        OutboundChanged?.Invoke();
        return removed;
    }

    public SIPDispatchRuleInfo? DeleteRule(string id) => _rules.TryRemove(id, out var rule) ? rule : null;

    /// <summary>The trunk a call comes by: the one that names the called number before one that takes all.</summary>
    /// <param name="from">The calling number, as the provider writes it.</param>
    /// <param name="to">The called number.</param>
    /// <param name="source">Where the request came from.</param>
    public SIPInboundTrunkInfo? Match(string from, string to, IPAddress source) => _inbound.Values
        .Where(trunk => (trunk.Numbers.Count == 0 || trunk.Numbers.Any(number => Same(number, to)))
            && (trunk.AllowedNumbers.Count == 0 || trunk.AllowedNumbers.Any(number => Same(number, from)))
            && IsAllowed(trunk, source))
        .OrderByDescending(trunk => trunk.Numbers.Count > 0)
        .ThenByDescending(trunk => trunk.AllowedNumbers.Count > 0)
        .ThenByDescending(trunk => trunk.AllowedAddresses.Count > 0)
        .FirstOrDefault();

    /// <summary>Some trunk has this number, whoever may call it.</summary>
    public bool Knows(string to) => _inbound.Values.Any(trunk => trunk.Numbers.Any(number => Same(number, to)));

    /// <summary>
    /// The rules for a call of that trunk, the most particular first. More than one only where they differ by PIN: the caller then
    /// has to say it.
    /// </summary>
    public IReadOnlyList<SIPDispatchRuleInfo> RulesFor(string trunkId, string from, string to)
    {
        var matching = _rules.Values
            .Where(rule => (rule.TrunkIds.Count == 0 || rule.TrunkIds.Contains(trunkId))
                && (rule.InboundNumbers.Count == 0 || rule.InboundNumbers.Any(number => Same(number, from)))
                && (rule.Numbers.Count == 0 || rule.Numbers.Any(number => Same(number, to))))
            .OrderByDescending(rule => rule.TrunkIds.Count > 0)
            .ThenByDescending(rule => rule.Numbers.Count > 0)
            .ThenByDescending(rule => rule.InboundNumbers.Count > 0)
            .ToList();
        return matching.FirstOrDefault() is { } best && PinOf(best).Length == 0 ? [best] : matching.Where(rule => PinOf(rule).Length > 0).ToList();
    }

    public static string PinOf(SIPDispatchRuleInfo rule) => rule.Rule?.RuleCase switch
    {
        SIPDispatchRule.RuleOneofCase.DispatchRuleDirect => rule.Rule.DispatchRuleDirect.Pin,
        SIPDispatchRule.RuleOneofCase.DispatchRuleIndividual => rule.Rule.DispatchRuleIndividual.Pin,
        SIPDispatchRule.RuleOneofCase.DispatchRuleCallee => rule.Rule.DispatchRuleCallee.Pin,
        _ => "",
    };

    /// <summary>Whether two spellings are of one number: providers write it with and without the plus sign.</summary>
    public static bool Same(string one, string other) =>
        one.AsSpan().TrimStart('+').Equals(other.AsSpan().TrimStart('+'), StringComparison.OrdinalIgnoreCase);

    private static bool IsAllowed(SIPInboundTrunkInfo trunk, IPAddress source)
    {
        if (trunk.AllowedAddresses.Count == 0)
        {
            return true;
        }

        var address = source.IsIPv4MappedToIPv6 ? source.MapToIPv4() : source;
        return trunk.AllowedAddresses.Any(allowed =>
            IPNetwork.TryParse(allowed, out var network) ? network.Contains(address) : IPAddress.TryParse(allowed, out var one) && one.Equals(address));
    }

    private static bool Overlap(SIPInboundTrunkInfo one, SIPInboundTrunkInfo other) =>
        (one.Numbers.Count == 0) == (other.Numbers.Count == 0)
        && (one.Numbers.Count == 0 || one.Numbers.Any(number => other.Numbers.Any(n => Same(n, number))))
        && Meet(one.AllowedNumbers, other.AllowedNumbers)
        && Meet(one.AllowedAddresses, other.AllowedAddresses);

    // An empty list matches everything, and is told apart from a particular one by being less so.
    private static bool Meet(IReadOnlyCollection<string> one, IReadOnlyCollection<string> other) =>
        (one.Count == 0 && other.Count == 0) || one.Intersect(other, StringComparer.Ordinal).Any();
}
