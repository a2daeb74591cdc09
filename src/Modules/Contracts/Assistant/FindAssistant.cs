namespace VoicePlatform.Contracts.Assistants;

/// <summary>One version of a tenant's assistant; the current one when <paramref name="Version"/> is null. Not found for another tenant's.</summary>
/// <param name="OverridesJson">Fields to change for one conversation (RFC 7396); refused by field, under "assistant_overrides", where they are wrong.</param>
public sealed record FindAssistant(string TenantId, string AssistantId, int? Version = null, string? OverridesJson = null) : IRequest<Result<AssistantVersion>>;

public sealed record AssistantVersion(string AssistantId, int Version, AssistantDocument Document);
