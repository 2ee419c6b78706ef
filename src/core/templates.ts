/** Parameters under a name, for instances that are created later. */
import type { EngineName } from './instance.ts'

export interface Template {
  /** A UUID. */
  readonly id: string
  readonly engine: EngineName
  readonly name: string
  readonly description: string
  /** For which instances it is. */
  readonly version: string
  readonly topology: string
  readonly parameters: Readonly<Record<string, string>>
  readonly createdAt: number
}

/** What a project keeps of them. */
export interface Templates {
  /** Newest first. */
  list(projectId: string, engine: EngineName): Promise<readonly Template[]>
  /** Answers its id; null when the name is taken, or there are too many. */
  create(wish: { readonly projectId: string; readonly userName: string; readonly template: Omit<Template, 'id' | 'createdAt'> }): Promise<string | null>
  /** What is absent stays; parameters are replaced together. False when there is none such, or the name is taken. */
  update(wish: { readonly projectId: string; readonly userName: string; readonly id: string; readonly change: Partial<Pick<Template, 'name' | 'description' | 'parameters'>> }): Promise<boolean>
  remove(wish: { readonly projectId: string; readonly userName: string; readonly id: string }): Promise<boolean>
}
