using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.LiveKit;

/// <summary>What a LiveKit server has.</summary>
internal sealed record ServerState(IReadOnlyList<SIPOutboundTrunkInfo> Outbound, IReadOnlyList<SIPInboundTrunkInfo> Inbound, IReadOnlyList<SIPDispatchRuleInfo> Rules);

/// <summary>Reads and changes our trunks and dispatch rules on a LiveKit server.</summary>
internal sealed class TrunksOnServer(LiveKitApi livekit, LiveKitShapes shapes)
{
    public async Task<ServerState> ListAsync(CancellationToken ct) => new(
        await livekit.Sip.ListOutboundTrunksAsync(new(), ct),
        await livekit.Sip.ListInboundTrunksAsync(new(), ct),
        await livekit.Sip.ListDispatchRulesAsync(new(), ct));

    /// <summary>Removes what we made for trunks that are gone, and what we made twice because an answer was lost.</summary>
    public async Task RemoveStrayAsync(ServerState there, Dictionary<string, Trunk> living, CancellationToken ct)
    {
        foreach (var rule in there.Rules)
        {
            if (shapes.OwnerOf(rule.Metadata) is { } owner && (!living.TryGetValue(owner, out var trunk) || trunk.LivekitRuleId != rule.SipDispatchRuleId))
            {
                await GoneIsFineAsync(livekit.Sip.DeleteDispatchRuleAsync(rule.SipDispatchRuleId, ct));
            }
        }

        var trunks = there.Outbound.Select(t => (t.SipTrunkId, t.Metadata)).Concat(there.Inbound.Select(t => (t.SipTrunkId, t.Metadata)));
        foreach (var (id, metadata) in trunks)
        {
            if (shapes.OwnerOf(metadata) is { } owner && (!living.TryGetValue(owner, out var trunk) || trunk.LivekitTrunkId != id))
            {
                await GoneIsFineAsync(livekit.Sip.DeleteTrunkAsync(id, ct));
            }
        }
    }

    /// <summary>Whether the server has the trunk as it should be.</summary>
    public bool IsThere(ServerState there, Trunk trunk, IReadOnlyList<string> numbers)
    {
        if (trunk.DeletedAt is not null || (trunk.Direction is TrunkDirection.Inbound && numbers.Count == 0))
        {
            return trunk.LivekitTrunkId is null;
        }

        if (trunk.Direction is TrunkDirection.Outbound)
        {
            return there.Outbound.FirstOrDefault(t => t.SipTrunkId == trunk.LivekitTrunkId) is { } has
                && shapes.Outbound(trunk) is var want
                && (want.Name, want.Address, want.Transport, want.AuthUsername, want.MediaEncryption, want.Metadata)
                    == (has.Name, has.Address, has.Transport, has.AuthUsername, has.MediaEncryption, has.Metadata)
                && want.Numbers.Equals(has.Numbers);
        }

        return there.Inbound.FirstOrDefault(t => t.SipTrunkId == trunk.LivekitTrunkId) is { } inbound
            && shapes.Inbound(trunk, numbers) is var wanted
            && (wanted.Name, wanted.AuthUsername, wanted.MediaEncryption) == (inbound.Name, inbound.AuthUsername, inbound.MediaEncryption)
            && wanted.Numbers.Equals(inbound.Numbers) && wanted.AllowedAddresses.Equals(inbound.AllowedAddresses)
            && there.Rules.Any(r => r.SipDispatchRuleId == trunk.LivekitRuleId && r.TrunkIds.Contains(trunk.LivekitTrunkId));
    }

    /// <summary>Creates, changes or removes one trunk, and an inbound one's dispatch rule; answers their ids there.</summary>
    public async Task<(string? TrunkId, string? RuleId)> BringAsync(Trunk trunk, IReadOnlyList<string> numbers, CancellationToken ct)
    {
        // Without a number an inbound trunk would take calls to any.
        if (trunk.DeletedAt is not null || (trunk.Direction is TrunkDirection.Inbound && numbers.Count == 0))
        {
            await RemoveAsync(trunk, ct);
            return (null, null);
        }

        if (trunk.Direction is TrunkDirection.Outbound)
        {
            var outbound = shapes.Outbound(trunk);
            var replaced = trunk.LivekitTrunkId is not null
                && await ExistsAsync(livekit.Sip.UpdateOutboundTrunkAsync(new() { SipTrunkId = trunk.LivekitTrunkId, Replace = outbound }, ct));
            return (replaced ? trunk.LivekitTrunkId : (await livekit.Sip.CreateOutboundTrunkAsync(outbound, ct)).SipTrunkId, null);
        }

        var inbound = shapes.Inbound(trunk, numbers);
        var known = trunk.LivekitTrunkId is not null
            && await ExistsAsync(livekit.Sip.UpdateInboundTrunkAsync(new() { SipTrunkId = trunk.LivekitTrunkId, Replace = inbound }, ct));
        var trunkId = known ? trunk.LivekitTrunkId! : (await livekit.Sip.CreateInboundTrunkAsync(inbound, ct)).SipTrunkId;
        var rule = shapes.Rule(trunk, trunkId);
        var ruled = trunk.LivekitRuleId is not null
            && await ExistsAsync(livekit.Sip.UpdateDispatchRuleAsync(new() { SipDispatchRuleId = trunk.LivekitRuleId, Replace = rule }, ct));
        return (trunkId, ruled ? trunk.LivekitRuleId : (await livekit.Sip.CreateDispatchRuleAsync(rule, ct)).SipDispatchRuleId);
    }

    private async Task RemoveAsync(Trunk trunk, CancellationToken ct)
    {
        if (trunk.LivekitRuleId is { } ruleId)
        {
            await GoneIsFineAsync(livekit.Sip.DeleteDispatchRuleAsync(ruleId, ct));
        }

        if (trunk.LivekitTrunkId is { } trunkId)
        {
            await GoneIsFineAsync(livekit.Sip.DeleteTrunkAsync(trunkId, ct));
        }
    }

    private static async Task<bool> ExistsAsync(Task change)
    {
        try
        {
            await change;
            return true;
        }
        catch (LiveKitApiException e) when (e.Code == "not_found")
        {
            return false;
        }
    }

    private static Task GoneIsFineAsync(Task removal) => ExistsAsync(removal);
}
