using System.Net;
using Google.Protobuf.WellKnownTypes;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer.Sip;

namespace VoicePlatform.MediaServer.ServerApi;

/// <summary><c>livekit.SIP</c>: trunks and dispatch rules; calls are the gateway's.</summary>
internal sealed class SipApi(SipDirectory directory, SipGateway? gateway, TimeProvider clock)
{
    public TwirpService ToService() => new TwirpService("livekit.SIP")
        .Add<CreateSIPInboundTrunkRequest, SIPInboundTrunkInfo>("CreateSIPInboundTrunk", (request, caller, _) => AsAdmin(caller, () => Create(request)))
        .Add<CreateSIPOutboundTrunkRequest, SIPOutboundTrunkInfo>("CreateSIPOutboundTrunk", (request, caller, _) => AsAdmin(caller, () => Create(request)))
        .Add<UpdateSIPInboundTrunkRequest, SIPInboundTrunkInfo>("UpdateSIPInboundTrunk", (request, caller, _) => AsAdmin(caller, () => Update(request)))
        .Add<UpdateSIPOutboundTrunkRequest, SIPOutboundTrunkInfo>("UpdateSIPOutboundTrunk", (request, caller, _) => AsAdmin(caller, () => Update(request)))
        .Add<GetSIPInboundTrunkRequest, GetSIPInboundTrunkResponse>("GetSIPInboundTrunk", (request, caller, _) => AsAdmin(
            caller, () => new GetSIPInboundTrunkResponse { Trunk = directory.FindInbound(request.SipTrunkId) ?? throw NotFound() }))
        .Add<GetSIPOutboundTrunkRequest, GetSIPOutboundTrunkResponse>("GetSIPOutboundTrunk", (request, caller, _) => AsAdmin(
            caller, () => new GetSIPOutboundTrunkResponse { Trunk = directory.FindOutbound(request.SipTrunkId) ?? throw NotFound() }))
        .Add<ListSIPTrunkRequest, ListSIPTrunkResponse>("ListSIPTrunk", (_, caller, _) => AsAdmin(caller, () => new ListSIPTrunkResponse()))
        .Add<ListSIPInboundTrunkRequest, ListSIPInboundTrunkResponse>("ListSIPInboundTrunk", (request, caller, _) => AsAdmin(caller, () => List(request)))
        .Add<ListSIPOutboundTrunkRequest, ListSIPOutboundTrunkResponse>("ListSIPOutboundTrunk", (request, caller, _) => AsAdmin(caller, () => List(request)))
        .Add<DeleteSIPTrunkRequest, SIPTrunkInfo>("DeleteSIPTrunk", (request, caller, _) => AsAdmin(
            caller, () => directory.DeleteTrunk(request.SipTrunkId) ? new SIPTrunkInfo { SipTrunkId = request.SipTrunkId } : throw NotFound()))
        .Add<CreateSIPDispatchRuleRequest, SIPDispatchRuleInfo>("CreateSIPDispatchRule", (request, caller, _) => AsAdmin(caller, () => Create(request)))
        .Add<UpdateSIPDispatchRuleRequest, SIPDispatchRuleInfo>("UpdateSIPDispatchRule", (request, caller, _) => AsAdmin(caller, () => Update(request)))
        .Add<ListSIPDispatchRuleRequest, ListSIPDispatchRuleResponse>("ListSIPDispatchRule", (request, caller, _) => AsAdmin(caller, () => List(request)))
        .Add<DeleteSIPDispatchRuleRequest, SIPDispatchRuleInfo>("DeleteSIPDispatchRule", (request, caller, _) => AsAdmin(
            caller, () => directory.DeleteRule(request.SipDispatchRuleId) ?? throw NotFound()))
        .Add<CreateSIPParticipantRequest, SIPParticipantInfo>("CreateSIPParticipant", (request, caller, _) =>
        {
            Grants.RequireSipCall(caller);
            return Gateway.DialAsync(request);
        })
        .Add<TransferSIPParticipantRequest, TransferSIPParticipantResponse>("TransferSIPParticipant", (request, caller, ct) =>
        {
            Grants.RequireSipCall(caller);
            Grants.RequireRoomAdmin(caller, request.RoomName);
            return Gateway.TransferAsync(request, ct);
        });

    private SipGateway Gateway => gateway ?? throw new TwirpException(TwirpCode.Unavailable, "no SIP port is open: set EMBEDDED_SIP_PORT");

    private static Task<T> AsAdmin<T>(VerifiedToken? caller, Func<T> work)
    {
        Grants.RequireSipAdmin(caller);
        return Task.FromResult(work());
    }

    private SIPInboundTrunkInfo Create(CreateSIPInboundTrunkRequest request)
    {
        var trunk = request.Trunk?.Clone() ?? throw Missing("trunk");
        (trunk.SipTrunkId, trunk.CreatedAt, trunk.UpdatedAt) = ("", Now(), Now());
        return Store(trunk);
    }

    private SIPOutboundTrunkInfo Create(CreateSIPOutboundTrunkRequest request)
    {
        var trunk = request.Trunk?.Clone() ?? throw Missing("trunk");
        (trunk.SipTrunkId, trunk.CreatedAt, trunk.UpdatedAt) = ("", Now(), Now());
        return Store(trunk);
    }

    private SIPDispatchRuleInfo Create(CreateSIPDispatchRuleRequest request)
    {
        // Older clients put the rule's fields beside it.
        var rule = request.DispatchRule?.Clone() ?? FromOldFields(request);
        (rule.SipDispatchRuleId, rule.CreatedAt, rule.UpdatedAt) = ("", Now(), Now());
        return Store(rule);
    }

    private static SIPDispatchRuleInfo FromOldFields(CreateSIPDispatchRuleRequest request)
    {
#pragma warning disable CS0612 // that is what older clients use
        var rule = new SIPDispatchRuleInfo
        {
            Rule = request.Rule?.Clone(),
            HidePhoneNumber = request.HidePhoneNumber,
            Name = request.Name,
            Metadata = request.Metadata,
            RoomPreset = request.RoomPreset,
            RoomConfig = request.RoomConfig?.Clone(),
        };
        rule.TrunkIds.Add(request.TrunkIds);
        rule.InboundNumbers.Add(request.InboundNumbers);
        rule.Attributes.Add(request.Attributes);
        return rule;
#pragma warning restore CS0612
    }

    private SIPInboundTrunkInfo Update(UpdateSIPInboundTrunkRequest request)
    {
        var present = directory.FindInbound(request.SipTrunkId) ?? throw NotFound();
        SIPInboundTrunkInfo trunk;
        switch (request.ActionCase)
        {
            case UpdateSIPInboundTrunkRequest.ActionOneofCase.Replace:
                trunk = request.Replace.Clone();
                break;
            case UpdateSIPInboundTrunkRequest.ActionOneofCase.Update:
                var update = request.Update;
                trunk = present.Clone();
                Apply(update.Numbers, trunk.Numbers);
                Apply(update.AllowedAddresses, trunk.AllowedAddresses);
                Apply(update.AllowedNumbers, trunk.AllowedNumbers);
                trunk.AuthUsername = update.HasAuthUsername ? update.AuthUsername : trunk.AuthUsername;
                trunk.AuthPassword = update.HasAuthPassword ? update.AuthPassword : trunk.AuthPassword;
                trunk.AuthRealm = update.HasAuthRealm ? update.AuthRealm : trunk.AuthRealm;
                trunk.Name = update.HasName ? update.Name : trunk.Name;
                trunk.Metadata = update.HasMetadata ? update.Metadata : trunk.Metadata;
                trunk.MediaEncryption = update.HasMediaEncryption ? update.MediaEncryption : trunk.MediaEncryption;
                trunk.Media = update.Media?.Clone() ?? trunk.Media;
                break;
            default:
                throw Missing("action");
        }

        (trunk.SipTrunkId, trunk.CreatedAt, trunk.UpdatedAt) = (present.SipTrunkId, present.CreatedAt, Now());
        return Store(trunk);
    }

    private SIPOutboundTrunkInfo Update(UpdateSIPOutboundTrunkRequest request)
    {
        var present = directory.FindOutbound(request.SipTrunkId) ?? throw NotFound();
        SIPOutboundTrunkInfo trunk;
        switch (request.ActionCase)
        {
            case UpdateSIPOutboundTrunkRequest.ActionOneofCase.Replace:
                trunk = request.Replace.Clone();
                break;
            case UpdateSIPOutboundTrunkRequest.ActionOneofCase.Update:
                var update = request.Update;
                trunk = present.Clone();
                Apply(update.Numbers, trunk.Numbers);
                trunk.Address = update.HasAddress ? update.Address : trunk.Address;
                trunk.Transport = update.HasTransport ? update.Transport : trunk.Transport;
                trunk.DestinationCountry = update.HasDestinationCountry ? update.DestinationCountry : trunk.DestinationCountry;
                trunk.AuthUsername = update.HasAuthUsername ? update.AuthUsername : trunk.AuthUsername;
                trunk.AuthPassword = update.HasAuthPassword ? update.AuthPassword : trunk.AuthPassword;
                trunk.Name = update.HasName ? update.Name : trunk.Name;
                trunk.Metadata = update.HasMetadata ? update.Metadata : trunk.Metadata;
                trunk.MediaEncryption = update.HasMediaEncryption ? update.MediaEncryption : trunk.MediaEncryption;
                trunk.Media = update.Media?.Clone() ?? trunk.Media;
                trunk.FromHost = update.HasFromHost ? update.FromHost : trunk.FromHost;
                break;
            default:
                throw Missing("action");
        }

        (trunk.SipTrunkId, trunk.CreatedAt, trunk.UpdatedAt) = (present.SipTrunkId, present.CreatedAt, Now());
        return Store(trunk);
    }

    private SIPDispatchRuleInfo Update(UpdateSIPDispatchRuleRequest request)
    {
        var present = directory.FindRule(request.SipDispatchRuleId) ?? throw NotFound();
        SIPDispatchRuleInfo rule;
        switch (request.ActionCase)
        {
            case UpdateSIPDispatchRuleRequest.ActionOneofCase.Replace:
                rule = request.Replace.Clone();
                break;
            case UpdateSIPDispatchRuleRequest.ActionOneofCase.Update:
                var update = request.Update;
                rule = present.Clone();
                Apply(update.TrunkIds, rule.TrunkIds);
                rule.Rule = update.Rule?.Clone() ?? rule.Rule;
                rule.Name = update.HasName ? update.Name : rule.Name;
                rule.Metadata = update.HasMetadata ? update.Metadata : rule.Metadata;
                rule.MediaEncryption = update.HasMediaEncryption ? update.MediaEncryption : rule.MediaEncryption;
                rule.Media = update.Media?.Clone() ?? rule.Media;
                foreach (var (key, value) in update.Attributes)
                {
                    rule.Attributes[key] = value;
                }

                break;
            default:
                throw Missing("action");
        }

        (rule.SipDispatchRuleId, rule.CreatedAt, rule.UpdatedAt) = (present.SipDispatchRuleId, present.CreatedAt, Now());
        return Store(rule);
    }

    private ListSIPInboundTrunkResponse List(ListSIPInboundTrunkRequest request)
    {
        var response = new ListSIPInboundTrunkResponse();
        response.Items.Add(Page(
            directory.Inbound.Where(trunk => (request.TrunkIds.Count == 0 || request.TrunkIds.Contains(trunk.SipTrunkId))
                && (request.Numbers.Count == 0 || trunk.Numbers.Count == 0 || trunk.Numbers.Intersect(request.Numbers, StringComparer.Ordinal).Any())),
            trunk => trunk.SipTrunkId,
            request.Page));
        return response;
    }

    private ListSIPOutboundTrunkResponse List(ListSIPOutboundTrunkRequest request)
    {
        var response = new ListSIPOutboundTrunkResponse();
        response.Items.Add(Page(
            directory.Outbound.Where(trunk => (request.TrunkIds.Count == 0 || request.TrunkIds.Contains(trunk.SipTrunkId))
                && (request.Numbers.Count == 0 || trunk.Numbers.Intersect(request.Numbers, StringComparer.Ordinal).Any())),
            trunk => trunk.SipTrunkId,
            request.Page));
        return response;
    }

    private ListSIPDispatchRuleResponse List(ListSIPDispatchRuleRequest request)
    {
        var response = new ListSIPDispatchRuleResponse();
        response.Items.Add(Page(
            directory.Rules.Where(rule => (request.DispatchRuleIds.Count == 0 || request.DispatchRuleIds.Contains(rule.SipDispatchRuleId))
                && (request.TrunkIds.Count == 0 || rule.TrunkIds.Count == 0 || rule.TrunkIds.Intersect(request.TrunkIds, StringComparer.Ordinal).Any())),
            rule => rule.SipDispatchRuleId,
            request.Page));
        return response;
    }

    private static IEnumerable<T> Page<T>(IEnumerable<T> items, Func<T, string> id, Pagination? page)
    {
        var rest = page is { AfterId.Length: > 0 } ? items.Where(item => string.CompareOrdinal(id(item), page.AfterId) > 0) : items;
        return page is { Limit: > 0 } ? rest.Take(page.Limit) : rest;
    }

    private SIPInboundTrunkInfo Store(SIPInboundTrunkInfo trunk)
    {
        if (trunk.Numbers.Count == 0 && trunk.AllowedAddresses.Count == 0 && (trunk.AuthUsername.Length == 0 || trunk.AuthPassword.Length == 0))
        {
            throw Invalid("for security, one of the fields must be set: numbers, allowed_addresses or auth_username and auth_password");
        }

        if (trunk.AllowedAddresses.FirstOrDefault(address => !IPNetwork.TryParse(address, out _) && !IPAddress.TryParse(address, out _)) is { } bad)
        {
            throw Invalid($"\"{bad}\" is no IP address and no address range");
        }

        RequireHeaders(trunk.Headers.Keys);
        return directory.Put(trunk) is { } conflict ? throw Invalid(conflict) : trunk;
    }

    private SIPOutboundTrunkInfo Store(SIPOutboundTrunkInfo trunk)
    {
        if (trunk.Address.Length == 0 || trunk.Address.StartsWith("sip:", StringComparison.OrdinalIgnoreCase) || trunk.Address.Any(char.IsWhiteSpace))
        {
            throw Invalid("address must be a host name or address with an optional port, without \"sip:\"");
        }

        if (trunk.Numbers.Count == 0)
        {
            throw Missing("numbers");
        }

        RequireHeaders(trunk.Headers.Keys);
        directory.Put(trunk);
        return trunk;
    }

    private SIPDispatchRuleInfo Store(SIPDispatchRuleInfo rule)
    {
        switch (rule.Rule?.RuleCase)
        {
            case SIPDispatchRule.RuleOneofCase.DispatchRuleDirect when rule.Rule.DispatchRuleDirect.RoomName.Length == 0:
                throw Missing("room_name");
            case null or SIPDispatchRule.RuleOneofCase.None:
                throw Missing("rule");
            default:
                return directory.Put(rule) is { } conflict ? throw Invalid(conflict) : rule;
        }
    }

    private static void RequireHeaders(IEnumerable<string> names)
    {
        if (names.FirstOrDefault(name => name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')) is { } bad)
        {
            throw Invalid($"\"{bad}\" is no header name");
        }
    }

    private static void Apply(ListUpdate? update, ICollection<string> list)
    {
        if (update is null)
        {
            return;
        }

        if (update.Clear || update.Set.Count > 0)
        {
            list.Clear();
        }

        foreach (var item in update.Set.Concat(update.Add).Where(item => !list.Contains(item)).Distinct(StringComparer.Ordinal))
        {
            list.Add(item);
        }

        foreach (var item in update.Remove)
        {
            list.Remove(item);
        }
    }

    private Timestamp Now() => clock.GetUtcNow().ToTimestamp();

    private static TwirpException NotFound() => new(TwirpCode.NotFound, "twirp error unknown: object cannot be found");

    private static TwirpException Missing(string field) => Invalid($"missing required field: {field}");

    private static TwirpException Invalid(string message) => new(TwirpCode.InvalidArgument, message);
}
