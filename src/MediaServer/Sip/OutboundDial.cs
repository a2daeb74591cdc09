using System.Security.Cryptography;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.ServerApi;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>What a CreateSIPParticipant asks for, put together with its trunk.</summary>
internal sealed record OutboundDial
{
    // LiveKit's limit for ringing.
    private static readonly TimeSpan LongestRinging = TimeSpan.FromSeconds(80);

    public required string CallId { get; init; }

    public required string Identity { get; init; }

    public required string Name { get; init; }

    public required string Metadata { get; init; }

    public required IReadOnlyDictionary<string, string> Attributes { get; init; }

    /// <summary>The offer is filled in when it is known.</summary>
    public required OutgoingInvite Invite { get; init; }

    public required PhoneSessionOptions Media { get; init; }

    /// <summary>Digits to press once it is answered.</summary>
    public string Dtmf { get; init; } = "";

    /// <summary>The room hears ringing while the telephone rings.</summary>
    public bool PlayDialtone { get; init; }

    public TimeSpan? MaxDuration { get; init; }

    public SIPHeaderOptions IncludeHeaders { get; init; }

    public IReadOnlyDictionary<string, string> HeadersToAttributes { get; init; } = new Dictionary<string, string>();

    /// <param name="request">As it came.</param>
    /// <param name="stored">The trunk it names; null when there is none.</param>
    /// <exception cref="TwirpException">Something is missing or cannot be.</exception>
    public static OutboundDial Compose(CreateSIPParticipantRequest request, SIPOutboundTrunkInfo? stored)
    {
        var trunk = stored ?? Inline(request) ?? throw new TwirpException(TwirpCode.NotFound, "twirp error unknown: requested sip trunk does not exist");
        Require(request.SipCallTo.Length > 0, "missing required field: sip_call_to");
        Require(!request.SipCallTo.Contains('@', StringComparison.Ordinal) && !request.SipCallTo.Any(char.IsWhiteSpace), "sip_call_to must be a phone number or SIP user, not a SIP URI");
        Require(request.RoomName.Length is > 0 and <= Limits.NameLength, "missing required field: room_name");
        Require(request.ParticipantIdentity.Length <= Limits.NameLength, "participant_identity is too long");
        Require(Sizes.Refuse(request.ParticipantName, request.ParticipantMetadata, request.ParticipantAttributes) is null, "name, metadata or attributes are too large");
        Require(request.Dtmf.All(c => "0123456789*#ABCDabcdwW".Contains(c, StringComparison.Ordinal)), "dtmf may have digits, *, #, A to D, and w for a pause");

        var callId = Sid.SipCall();
        var number = NumberOf(request, trunk);
        var attributes = new Dictionary<string, string>(request.ParticipantAttributes, StringComparer.Ordinal)
        {
            [SipAttributes.CallId] = callId,
            [SipAttributes.CallStatus] = SipCallStatusName.Dialing,
            [SipAttributes.HostName] = trunk.Address,
            [SipAttributes.TrunkId] = trunk.SipTrunkId,
        };
        if (!request.HidePhoneNumber)
        {
            attributes[SipAttributes.PhoneNumber] = request.SipCallTo;
            attributes[SipAttributes.TrunkPhoneNumber] = number;
        }

        if (!SipUri.TryParse($"sip:{request.SipCallTo}@{trunk.Address}", out var target))
        {
            throw new TwirpException(TwirpCode.InvalidArgument, $"\"{request.SipCallTo}\" at \"{trunk.Address}\" cannot be dialled");
        }

        var headers = trunk.Headers.Concat(request.Headers).Select(h => (h.Key, h.Value)).Concat(SipAttributes.ToHeaders(attributes, trunk.AttributesToHeaders));
        var ringing = MediaTerms.Of(request.RingingTimeout) ?? LongestRinging;
        return new OutboundDial
        {
            CallId = callId,
            Identity = request.ParticipantIdentity.Length > 0 ? request.ParticipantIdentity : $"sip_{request.SipCallTo}",
            Name = request.ParticipantName,
            Metadata = request.ParticipantMetadata,
            Attributes = attributes,
            Invite = new OutgoingInvite
            {
                Target = target,
                Transport = MediaTerms.Of(trunk.Transport),
                FromUser = number,
                FromHost = trunk.FromHost.Length > 0 ? trunk.FromHost : null,
                DisplayName = request.HasDisplayName ? (request.DisplayName.Length > 0 ? request.DisplayName : null) : number,
                AuthUsername = trunk.AuthUsername.Length > 0 ? trunk.AuthUsername : null,
                AuthPassword = trunk.AuthUsername.Length > 0 ? trunk.AuthPassword : null,
                Headers = [.. headers],
                Offer = "",
                RingingTimeout = ringing < LongestRinging ? ringing : LongestRinging,
            },
            Media = MediaTerms.Of([request.Media, trunk.Media], [request.MediaEncryption, trunk.MediaEncryption]),
            Dtmf = request.Dtmf,
            PlayDialtone = request.PlayDialtone || OldRingtone(request),
            MaxDuration = MediaTerms.Of(request.MaxCallDuration),
            IncludeHeaders = request.IncludeHeaders is SIPHeaderOptions.SipNoHeaders ? trunk.IncludeHeaders : request.IncludeHeaders,
            HeadersToAttributes = trunk.HeadersToAttributes,
        };
    }

    private static SIPOutboundTrunkInfo? Inline(CreateSIPParticipantRequest request)
    {
        if (request.SipTrunkId.Length > 0 || request.Trunk is not { Hostname.Length: > 0 } inline)
        {
            return null;
        }

        var trunk = new SIPOutboundTrunkInfo
        {
            Address = inline.Hostname,
            Transport = inline.Transport,
            AuthUsername = inline.AuthUsername,
            AuthPassword = inline.AuthPassword,
            DestinationCountry = inline.DestinationCountry,
            FromHost = inline.FromHost,
        };
        trunk.HeadersToAttributes.Add(inline.HeadersToAttributes);
        trunk.AttributesToHeaders.Add(inline.AttributesToHeaders);
        return trunk;
    }

    private static string NumberOf(CreateSIPParticipantRequest request, SIPOutboundTrunkInfo trunk)
    {
        if (request.SipNumber.Length > 0)
        {
            return request.SipNumber;
        }

        var numbers = trunk.Numbers.Where(number => number.Length > 0 && number != "*").ToList();
        Require(numbers.Count > 0, "sip_number is needed: the trunk has no number of its own");
        return numbers[RandomNumberGenerator.GetInt32(numbers.Count)];
    }

    private static bool OldRingtone(CreateSIPParticipantRequest request)
    {
#pragma warning disable CS0612 // the older name of the same wish
        return request.PlayRingtone;
#pragma warning restore CS0612
    }

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new TwirpException(TwirpCode.InvalidArgument, otherwise);
        }
    }
}
