namespace VoicePlatform.Contracts.Assistants;

/// <summary>One version of a tenant's assistant; the current one when <paramref name="Version"/> is null. Not found for another tenant's.</summary>
public sealed record FindAssistant(string TenantId, string AssistantId, int? Version = null) : IRequest<Result<AssistantVersion>>;

public sealed record AssistantVersion(string AssistantId, int Version, AssistantDocument Document);
