namespace VoicePlatform.Contracts.Trunks;

/// <summary>The tenant's outbound trunk. Not found for another tenant's, for a removed one, and for one that only takes calls.</summary>
public sealed record FindOutboundTrunk(string TenantId, string TrunkId) : IRequest<Result<OutboundTrunk>>;

/// <param name="Numbers">E.164; calls may show these and no others. Never empty.</param>
/// <param name="MaxConcurrent">Calls at a time; null: no limit.</param>
/// <param name="CallsPerSecond">How fast calls may be begun; null: no limit.</param>
/// <param name="LiveKitTrunkId">Null until LiveKit has it.</param>
public sealed record OutboundTrunk(
    string TrunkId, string Name, IReadOnlyList<string> Numbers, int? MaxConcurrent, double? CallsPerSecond, string? LiveKitTrunkId);

/// <summary>Whom a call to this number is for.</summary>
/// <param name="LiveKitTrunkId">The trunk by which LiveKit took the call: a number is only found on its own trunk.</param>
/// <param name="Number">As it was dialled.</param>
public sealed record FindNumber(string LiveKitTrunkId, string Number) : IRequest<Result<InboundNumber>>;

/// <param name="ContextUrl">Asked for variables and metadata before the call is taken; null: nobody is asked.</param>
public sealed record InboundNumber(string NumberId, string TenantId, string TrunkId, string Number, string AssistantId, string? ContextUrl, int? MaxConcurrent);
