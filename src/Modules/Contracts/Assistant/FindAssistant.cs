namespace VoicePlatform.Contracts.Assistants;

/// <summary>One version of a tenant's assistant; the current one when <paramref name="Version"/> is null. Not found for another tenant's.</summary>
/// <param name="OverridesJson">Fields to change for one conversation (RFC 7396); refused by field, under "assistant_overrides", where they are wrong.</param>
/// <param name="IsTest">With every model replaced by a local one.</param>
public sealed record FindAssistant(string TenantId, string AssistantId, int? Version = null, string? OverridesJson = null, bool IsTest = false) : IRequest<Result<AssistantVersion>>;

public sealed record AssistantVersion(string AssistantId, int Version, AssistantDocument Document);

/// <summary>The tenant's assistant, where it has one and not more. Not found says which.</summary>
public sealed record FindOnlyAssistant(string TenantId) : IRequest<Result<OnlyAssistant>>;

public sealed record OnlyAssistant(string AssistantId);

/// <summary>Makes an assistant of the caller's tenant. <paramref name="DocumentJson"/> is as the API takes it.</summary>
public sealed record MakeAssistant(string DocumentJson) : ICommand<AssistantVersion>;
