namespace VoicePlatform.Contracts.Tenants;

/// <summary>The tenant's secrets of these names, opened; those it does not have are missing in the answer. For use, never to be shown or stored.</summary>
public sealed record ReadSecrets(string TenantId, IReadOnlyCollection<string> Names) : IRequest<Result<TenantSecrets>>;

public sealed record TenantSecrets(IReadOnlyDictionary<string, string> Values);
